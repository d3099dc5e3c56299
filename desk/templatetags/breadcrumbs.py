"""The breadcrumbs of a page."""

from collections.abc import Sequence
from typing import Any, Final

from django import template
from django.contrib import admin
from django.utils.text import capfirst

from adminkit.names import title_of_list

register = template.Library()

_WITH_APP: Final = 2


@register.filter
def breadcrumbs(parts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the breadcrumbs without the app, with the titles of lists as in the menu."""
    shown = list(parts)[1:] if len(parts) >= _WITH_APP else list(parts)
    titles = _list_titles()
    return [{**part, "title": titles.get(str(part["title"]), part["title"])} for part in shown]


def _list_titles() -> dict[str, str]:
    return {
        str(model_admin.opts.verbose_name_plural): capfirst(title_of_list(model_admin))
        for model_admin in admin.site._registry.values()  # noqa: SLF001 - there is no public list
    }
