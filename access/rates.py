"""Rates by name. An environment variable sets each of them."""

from enum import StrEnum
from functools import lru_cache

from django.conf import settings
from limits import RateLimitItem, parse


class Rate(StrEnum):
    """The rate that a request is counted by. Storefronts see the values as policy names."""

    READS = "reads"
    ORDERS = "orders"
    QUOTES = "quotes"
    CHANGES = "changes"  # everything else that changes something, such as a cancel
    SHOP_READS = "shop-reads"
    SHOP_CHANGES = "shop-changes"
    ANONYMOUS = "anonymous"
    FAILURES = "failures"  # invalid tokens

    @property
    def limit(self) -> RateLimitItem | None:
        """The limit; None for no limit."""
        text = settings.THROTTLING_RATES[self.value] if settings.THROTTLING else ""
        return _parsed(text) if text else None

    def for_shop(self) -> "Rate":
        """Return the rate of the same request from the shop's server."""
        return Rate.SHOP_READS if self == Rate.READS else Rate.SHOP_CHANGES


_parsed = lru_cache(parse)
