"""Reads the stream of events beside a drive, as a program of another system does."""

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import redis

STREAM: Final = "holdfast.events"
_PAUSE_SECONDS: Final = 0.2


class EventFollower:
    """Keeps every event that arrives, by order; one that arrives again counts once."""

    def __init__(self, redis_url: str) -> None:
        self._by_order: defaultdict[str, list[str]] = defaultdict(list)
        self._ids: set[str] = set()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._broker: Any = redis.Redis.from_url(
            redis_url, decode_responses=True, protocol=2, socket_timeout=5
        )

    def arrived(self) -> dict[str, list[str]]:
        """Return the types of each order's events, in the order of their first arrival."""
        with self._lock:
            return {order: list(types) for order, types in self._by_order.items()}

    def forget(self) -> None:
        """Forget what has arrived, before all of it is published again."""
        with self._lock:
            self._ids.clear()
            self._by_order.clear()

    @contextmanager
    def following(self) -> Iterator[None]:
        """Read what arrives during the block. A broker that is away is tried again."""
        thread = threading.Thread(target=self._follow, name="events")
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _follow(self) -> None:
        last = "$"
        while not self._over.is_set():
            try:
                read = self._broker.xread({STREAM: last}, count=500, block=200)
            except redis.RedisError:
                self._over.wait(_PAUSE_SECONDS)
                continue
            for entry_id, entry in read[0][1] if read else ():
                self._keep(json.loads(entry["event"]))
                last = entry_id

    def _keep(self, event: dict[str, Any]) -> None:
        with self._lock:
            if event["id"] not in self._ids:
                self._ids.add(event["id"])
                self._by_order[event["subject"]].append(event["type"])
