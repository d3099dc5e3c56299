"""Counts requests in Redis for all processes; without Redis, in this process alone."""

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
"""A slower Redis counts as down, because a storefront waits for the answer."""

REDIS_RETRY_INTERVAL: Final = timedelta(seconds=5)
"""While Redis is down, one request per interval tries it; the others do not wait for it."""


class Counter:
    """Counts requests in moving windows. The clocks of hosts must agree within a fraction of a second.

    Never raises. An allowed request costs at most one Redis command.
    """

    def __init__(self, redis_url: str, key_prefix: str) -> None:
        pool = ConnectionPool.from_url(
            redis_url,
            socket_timeout=REDIS_TIMEOUT.total_seconds(),
            socket_connect_timeout=REDIS_TIMEOUT.total_seconds(),
            max_connections=1000,  # a thread without a connection would treat Redis as down
        )
        self._shared = MovingWindowRateLimiter(
            RedisStorage(redis_url, connection_pool=pool, key_prefix=f"{key_prefix}throttle")
        )
        self._own = MovingWindowRateLimiter(MemoryStorage())
        self._lock = threading.Lock()
        self._retry_redis_at = 0.0

    def seconds_to_wait(
        self, limit: RateLimitItem, key: str, *, fallback_limit: RateLimitItem
    ) -> int:
        """Count a request. Returns 0, or the seconds to wait when the limit is exceeded.

        Without Redis this process alone counts the request, and enforces ``fallback_limit``.
        """
        if self._may_try_redis():
            try:
                seconds = _take(self._shared, limit, key)
            except RedisError as error:
                self._mark_redis_down(error)
            else:
                self._retry_redis_at = 0.0
                return seconds
        with self._lock:
            return _take(self._own, fallback_limit, key)

    def _may_try_redis(self) -> bool:
        """Return whether Redis was up, or whether it is this request's turn to try it."""
        if not self._retry_redis_at:
            return True
        with self._lock:
            now = time.monotonic()
            if now < self._retry_redis_at:
                return False
            self._retry_redis_at = now + REDIS_RETRY_INTERVAL.total_seconds()
            return True

    def _mark_redis_down(self, error: RedisError) -> None:
        self._retry_redis_at = time.monotonic() + REDIS_RETRY_INTERVAL.total_seconds()
        log.warning("throttling.redis_unavailable", extra={"error": type(error).__name__})


def _take(limiter: MovingWindowRateLimiter, limit: RateLimitItem, key: str) -> int:
    if limiter.hit(limit, key):
        return 0
    reset_time, _ = limiter.get_window_stats(limit, key)
    return max(1, math.ceil(reset_time - time.time()))


def counter() -> Counter:
    """Return the counter of this process."""
    return _counter(settings.REDIS_URL, settings.REDIS_KEY_PREFIX)


_counter = lru_cache(maxsize=1)(Counter)
