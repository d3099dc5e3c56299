"""What a list is called wherever it is named: in the menu, in its title, on the way back to it."""

from typing import Any

from django.contrib.admin import ModelAdmin


def name_of_list(model_admin: ModelAdmin[Any]) -> str:
    """Return what its admin calls it (``listed_as``), or else what the model is called."""
    return getattr(model_admin, "listed_as", "") or str(model_admin.opts.verbose_name_plural)
