"""Prose of the problem types: text with names of headers and fields in backticks."""

from itertools import cycle

from django import template
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

register = template.Library()


@register.filter
def prose(text: str) -> SafeString:
    """Show what stands in backticks as code; everything is escaped."""
    tags = cycle(("span", "code"))
    return format_html_join("", "<{0}>{1}</{0}>", ((next(tags), part) for part in text.split("`")))
