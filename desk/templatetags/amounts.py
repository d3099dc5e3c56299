"""Amounts in templates."""

from django import template

from desk.money import money

register = template.Library()
register.filter("money", money)
