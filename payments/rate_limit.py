"""How often we may call the bank: one limit that all processes of the installation share."""

import hashlib
import logging
import os
import random
import threading
import time
from datetime import timedelta
from functools import lru_cache

from django.conf import settings
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis import ConnectionPool, RedisError

from payments.deadline import Deadline
from payments.errors import ProviderBusy

log = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=0.5)
"""A call that finds the limit used up waits this long at most: its thread is worth more than that,
and the step has a back-off of its own."""

REDIS_TIMEOUT = timedelta(seconds=0.2)
"""A Redis slower than this counts as down: it must not eat the time meant for the bank."""

REDIS_REST = timedelta(seconds=5)
"""Once seen down, Redis is left alone for this long, so that few calls pay its timeout."""


class RateLimit:
    """At most ``per_second`` calls in any second, by all who share ``redis_url`` and ``account``.

    Counting trusts the clocks of the hosts to agree within a fraction of a second. Without Redis
    each process keeps to ``alone_per_second`` by itself: never none, and never without a limit.
    """

    def __init__(
        self, *, account: str, redis_url: str, per_second: int, alone_per_second: int
    ) -> None:
        self._account = account
        self._together = RateLimitItemPerSecond(per_second)
        self._alone = RateLimitItemPerSecond(min(per_second, alone_per_second))
        self._shared = MovingWindowRateLimiter(
            RedisStorage(redis_url, connection_pool=_impatient_pool(redis_url), key_prefix="rate")
        )
        self._own = MovingWindowRateLimiter(MemoryStorage())
        self._own_lock = threading.Lock()  # the memory storage lets a few more through without it
        self._redis_rests_until = 0.0

    def acquire(self, deadline: Deadline) -> None:
        """Take one call's share, waiting shortly for it; raises ProviderBusy if none comes free."""
        gives_up_at = time.monotonic() + min(PATIENCE.total_seconds(), deadline.remaining())
        while not self._take():
            if time.monotonic() >= gives_up_at:
                raise ProviderBusy("our own limit on calls to the bank is used up")
            # Not a pause between attempts at work but the queue for a scarce good, and a bounded
            # one. Its jitter keeps those who wait from asking Redis all at once.
            threading.Event().wait(random.uniform(0.01, 0.05))  # noqa: S311 -- spreads load only

    def _take(self) -> bool:
        if time.monotonic() >= self._redis_rests_until:
            try:
                return self._shared.hit(self._together, self._account)
            except RedisError as error:
                self._redis_rests_until = time.monotonic() + REDIS_REST.total_seconds()
                log.warning(
                    "rate_limit.redis_unavailable",
                    extra={"error": type(error).__name__, "calls_per_second": self._alone.amount},
                )
        with self._own_lock:
            return self._own.hit(self._alone, self._account)


def acquire(deadline: Deadline) -> None:
    """Wait for our turn to call the bank, as set by STRIPE_CALLS_PER_SECOND; 0 is no limit."""
    if settings.STRIPE_CALLS_PER_SECOND:
        _limit_of_this_process(
            settings.STRIPE_API_KEY,
            settings.REDIS_URL,
            settings.STRIPE_CALLS_PER_SECOND,
            settings.STRIPE_FALLBACK_CALLS_PER_SECOND,
        ).acquire(deadline)


@lru_cache(maxsize=1)
def _limit_of_this_process(
    api_key: str, redis_url: str, per_second: int, alone_per_second: int
) -> RateLimit:
    return RateLimit(
        # The same for all who use the key, and of no use to whoever reads it in Redis.
        account=hashlib.sha256(api_key.encode()).hexdigest()[:16],
        redis_url=redis_url,
        per_second=per_second,
        alone_per_second=alone_per_second,
    )


# A child must not inherit a lock that some thread of its parent was holding.
os.register_at_fork(after_in_child=_limit_of_this_process.cache_clear)


def _impatient_pool(redis_url: str) -> ConnectionPool:
    seconds = REDIS_TIMEOUT.total_seconds()
    return ConnectionPool.from_url(
        redis_url,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        max_connections=1000,  # a thread that finds none would take Redis for dead
    )
