"""Checks prices. The setting PRICE_PROBLEM names the function in payments that decides."""

from collections.abc import Callable
from typing import cast

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.module_loading import import_string


def check_price(price_minor: int) -> None:
    """Raise ValidationError for a price that cannot be charged in the shop's currency."""
    problem = cast("Callable[[int, str], str]", import_string(settings.PRICE_PROBLEM))
    if text := problem(price_minor, settings.CURRENCY):
        raise ValidationError(text)
