"""The template filter for amounts of money."""

from django import template

from money.amounts import format_amount

register = template.Library()
register.filter("money", format_amount)
