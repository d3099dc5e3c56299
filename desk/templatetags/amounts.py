"""Amounts in templates."""

from django import template

from adminkit.money import money

register = template.Library()
register.filter("money", money)
