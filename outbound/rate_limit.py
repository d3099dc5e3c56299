"""How often an outside service may be called: one limit that all processes share through Redis."""

import hashlib
import logging
import random
import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis import ConnectionPool, RedisError

from outbound.deadline import Deadline
from outbound.errors import RateLimited

log = logging.getLogger(__name__)

MAX_WAIT = timedelta(seconds=0.5)
"""A call that finds the limit used up waits at most this long. A longer wait would block a thread, and
the step has a back-off of its own."""

REDIS_TIMEOUT = timedelta(seconds=0.2)
"""A Redis slower than this counts as down: it must not use up the time of the call."""

REDIS_RETRY_DELAY = timedelta(seconds=5)
"""After a Redis error, no call uses Redis for this long, so that few calls wait for its timeout."""


@dataclass(frozen=True, slots=True)
class CallRate:
    """How many calls a second are allowed."""

    per_second: int
    """By all processes together; 0 for no limit."""

    fallback_per_second: int
    """By each process, while Redis cannot count for all of them."""

    account: str = field(default="", repr=False)
    """What the service counts calls by, such as an API key. Only its hash reaches Redis."""


class RateLimit:
    """At most ``per_second`` calls in any second, by all processes with this Redis and ``account``.

    The clocks of the hosts must agree within a fraction of a second. Without Redis each process
    limits itself to ``fallback_per_second``, so calls neither stop nor flood the service.
    """

    def __init__(
        self, *, account: str, redis_url: str, per_second: int, fallback_per_second: int
    ) -> None:
        self._account = account
        self._together = RateLimitItemPerSecond(per_second)
        self._alone = RateLimitItemPerSecond(min(per_second, fallback_per_second))
        self._shared = MovingWindowRateLimiter(
            RedisStorage(redis_url, connection_pool=_redis_pool(redis_url), key_prefix="rate")
        )
        self._own = MovingWindowRateLimiter(MemoryStorage())
        self._own_lock = threading.Lock()  # the memory storage lets a few more through without it
        self._redis_retry_at = 0.0

    def acquire(self, deadline: Deadline) -> None:
        """Count one call, and wait up to MAX_WAIT until the limit allows it. Raises RateLimited."""
        gives_up_at = time.monotonic() + min(MAX_WAIT.total_seconds(), deadline.remaining())
        while not self._take():
            if time.monotonic() >= gives_up_at:
                raise RateLimited("our own limit on calls is used up")
            # A bounded wait for the limit, not a pause between attempts. The jitter keeps
            # waiting threads from asking Redis all at once.
            threading.Event().wait(random.uniform(0.01, 0.05))  # noqa: S311 -- spreads load only

    def _take(self) -> bool:
        if time.monotonic() >= self._redis_retry_at:
            try:
                return self._shared.hit(self._together, self._account)
            except RedisError as error:
                self._redis_retry_at = time.monotonic() + REDIS_RETRY_DELAY.total_seconds()
                log.warning(
                    "rate_limit.redis_unavailable",
                    extra={"error": type(error).__name__, "calls_per_second": self._alone.amount},
                )
        with self._own_lock:
            return self._own.hit(self._alone, self._account)


def make_rate_limit(service: str, rate: CallRate, redis_url: str) -> RateLimit:
    """Return the limit shared by all processes that call ``service`` with the same account."""
    account = hashlib.sha256(rate.account.encode()).hexdigest()[:16]
    return RateLimit(
        account=f"{service}-{account}",
        redis_url=redis_url,
        per_second=rate.per_second,
        fallback_per_second=rate.fallback_per_second,
    )


def _redis_pool(redis_url: str) -> ConnectionPool:
    seconds = REDIS_TIMEOUT.total_seconds()
    return ConnectionPool.from_url(
        redis_url,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        max_connections=1000,  # a thread without a connection would count Redis as down
    )
