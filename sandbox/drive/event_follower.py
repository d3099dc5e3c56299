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
    """Keeps every event that arrives, by order, and counts those that arrive again."""

    def __init__(self, redis_url: str) -> None:
        self.by_order: defaultdict[str, list[str]] = defaultdict(list)
        """The types of each order's events, in the order of their first arrival."""
        self.repeated = 0
        self._ids: set[str] = set()
        self._over = threading.Event()
        self._broker: Any = redis.Redis.from_url(
            redis_url, decode_responses=True, protocol=2, socket_timeout=5
        )

    @property
    def count(self) -> int:
        """How many different events have arrived."""
        return len(self._ids)

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
        if event["id"] in self._ids:
            self.repeated += 1
            return
        self._ids.add(event["id"])
        self.by_order[event["subject"]].append(event["type"])
