"""Counts requests for all processes together in Redis, and for this one alone without it."""

import logging
import math
import threading
import time
from datetime import timedelta
from functools import lru_cache
from typing import Final

from django.conf import settings
from limits import RateLimitItem
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis import ConnectionPool, RedisError

log = logging.getLogger(__name__)

REDIS_TIMEOUT: Final = timedelta(seconds=0.2)
"""A Redis slower than this counts as down: a storefront waits for the request."""

REDIS_REST: Final = timedelta(seconds=5)
"""Once seen down, Redis is asked by one request each so often, and no other waits for it."""


class Counter:
    """Moving windows of requests. Hosts' clocks have to agree within a fraction of a second.

    Never raises, and never asks Redis more than once for a request that is allowed.
    """

    def __init__(self, redis_url: str, key_prefix: str) -> None:
        pool = ConnectionPool.from_url(
            redis_url,
            socket_timeout=REDIS_TIMEOUT.total_seconds(),
            socket_connect_timeout=REDIS_TIMEOUT.total_seconds(),
            max_connections=1000,  # a thread that finds none would take Redis for dead
        )
        self._shared = MovingWindowRateLimiter(
            RedisStorage(redis_url, connection_pool=pool, key_prefix=f"{key_prefix}throttle")
        )
        self._own = MovingWindowRateLimiter(MemoryStorage())
        self._lock = threading.Lock()
        self._rests_until = 0.0

    def seconds_to_wait(self, limit: RateLimitItem, who: str, *, alone: RateLimitItem) -> int:
        """Count a request, and return 0; or, where it is one too many, after how long to ask again.

        Without Redis this process keeps to ``alone`` by itself.
        """
        if self._may_ask_redis():
            try:
                seconds = _take(self._shared, limit, who)
            except RedisError as error:
                self._let_redis_rest(error)
            else:
                self._rests_until = 0.0
                return seconds
        with self._lock:
            return _take(self._own, alone, who)

    def _may_ask_redis(self) -> bool:
        """Whether Redis is up as far as we know, or it is this request's turn to find out."""
        if not self._rests_until:
            return True
        with self._lock:
            now = time.monotonic()
            if now < self._rests_until:
                return False
            self._rests_until = now + REDIS_REST.total_seconds()
            return True

    def _let_redis_rest(self, error: RedisError) -> None:
        self._rests_until = time.monotonic() + REDIS_REST.total_seconds()
        log.warning("throttling.redis_unavailable", extra={"error": type(error).__name__})


def _take(limiter: MovingWindowRateLimiter, limit: RateLimitItem, who: str) -> int:
    if limiter.hit(limit, who):
        return 0
    reset_time, _ = limiter.get_window_stats(limit, who)
    return max(1, math.ceil(reset_time - time.time()))


def counter() -> Counter:
    """Return this process's counter."""
    return _counter(settings.REDIS_URL, settings.REDIS_KEY_PREFIX)


_counter = lru_cache(maxsize=1)(Counter)
