"""How often a caller may ask for what: rates by name, each set by an environment variable."""

from enum import StrEnum
from functools import lru_cache

from django.conf import settings
from limits import RateLimitItem, parse


class Rate(StrEnum):
    """What a request counts as. The values are known to storefronts, as names of policies."""

    READS = "reads"
    ORDERS = "orders"
    QUOTES = "quotes"
    CHANGES = "changes"  # everything else that changes something, such as a cancel
    SHOP_READS = "shop-reads"
    SHOP_CHANGES = "shop-changes"
    ANONYMOUS = "anonymous"
    FAILURES = "failures"  # tokens that are none

    @property
    def limit(self) -> RateLimitItem | None:
        """What is allowed; None where there is no limit."""
        text = settings.THROTTLING_RATES[self.value] if settings.THROTTLING else ""
        return _parsed(text) if text else None

    def for_shop(self) -> "Rate":
        """Return what the same request counts as when the shop's own server makes it."""
        return Rate.SHOP_READS if self == Rate.READS else Rate.SHOP_CHANGES


_parsed = lru_cache(parse)
