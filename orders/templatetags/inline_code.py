"""Markdown's inline code in templates: the texts of problem types use it."""

from itertools import cycle

from django import template
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

register = template.Library()


@register.filter
def inline_code(text: str) -> SafeString:
    """Show text in backticks as ``<code>``, and escape everything."""
    tags = cycle(("span", "code"))
    return format_html_join("", "<{0}>{1}</{0}>", ((next(tags), part) for part in text.split("`")))
