"""The way to a page, as its head shows it."""

from collections.abc import Sequence
from typing import Any, Final

from django import template
from django.contrib import admin
from django.utils.text import capfirst

from adminkit.names import title_of_list

register = template.Library()

_WITH_APP: Final = 2


@register.filter
def crumbs(parts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave the app out, and call each list what the menu calls it."""
    own = list(parts)[1:] if len(parts) >= _WITH_APP else list(parts)
    names = _names()
    return [{**each, "title": names.get(str(each["title"]), each["title"])} for each in own]


def _names() -> dict[str, str]:
    return {
        str(each.opts.verbose_name_plural): capfirst(title_of_list(each))
        for each in admin.site._registry.values()  # noqa: SLF001 - it has no other way to be asked
    }
