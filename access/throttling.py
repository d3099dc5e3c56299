"""Rate limits per caller, with one Redis command per request.

REST framework's throttles count without atomicity, fail without their cache, and send no RateLimit
headers; ``limits`` does the counting here.
"""

from collections.abc import Mapping
from typing import Any, Final

from django.http import HttpRequest
from limits import RateLimitItem, RateLimitItemPerMinute
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from access.client_ip import client_key
from access.credentials import Grant
from access.errors import TooManyRequests
from access.rate_limits import counter
from access.rates import Rate

Rates = Mapping[str, Rate]
"""Rates by HTTP method: the class attribute ``rates`` of a view. Other methods have READS or CHANGES."""

FAILURES_WITHOUT_REDIS: Final = RateLimitItemPerMinute(5)
"""Failures per minute that each process allows while Redis is down: fewer, to slow down guessing."""


class CallerThrottle(BaseThrottle):
    """Counts requests by customer, by the shop's account, by a link's order, or by address."""

    def allow_request(self, request: Request, view: Any) -> bool:
        """Return True, or raise TooManyRequests."""
        grant = request.auth
        if not isinstance(grant, Grant):
            count_anonymous(request)
            return True
        method = str(request.method)
        usual = Rate.READS if method in SAFE_METHODS else Rate.CHANGES
        rates: Rates = getattr(view, "rates", {})
        rate = rates.get(method, usual)
        if grant.is_guest:
            _count(rate, f"order:{grant.order_id}")
        else:
            _count(rate.for_shop() if grant.is_shop else rate, f"user:{request.user.pk}")
        return True


def count_anonymous(request: HttpRequest) -> None:
    """Count a request without a token. Raises TooManyRequests when its address has sent too many."""
    _count(Rate.ANONYMOUS, client_key(request))


def count_failure(request: Request) -> None:
    """Count an invalid token. Raises TooManyRequests when its address has sent too many."""
    _count(Rate.FAILURES, client_key(request), fallback_limit=FAILURES_WITHOUT_REDIS)


def _count(rate: Rate, caller: str, *, fallback_limit: RateLimitItem | None = None) -> None:
    limit = rate.limit
    if limit is None:
        return
    wait = counter().seconds_to_wait(
        limit, f"{rate.value}/{caller}", fallback_limit=fallback_limit or limit
    )
    if wait:
        raise TooManyRequests(rate.value, limit.amount, limit.get_expiry(), wait)
