"""The title of a list, the same in the menu, on its page and in breadcrumbs."""

from typing import Any

from django.contrib.admin import ModelAdmin


def title_of_list(model_admin: ModelAdmin[Any]) -> str:
    """Return the admin's ``list_title``, or the model's plural name."""
    return getattr(model_admin, "list_title", "") or str(model_admin.opts.verbose_name_plural)
