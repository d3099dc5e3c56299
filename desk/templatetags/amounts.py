"""Amounts in templates."""

from django import template

from lists.money import money

register = template.Library()
register.filter("money", money)
