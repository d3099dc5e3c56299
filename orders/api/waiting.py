"""Waiting for an order to get somewhere, without a query for each client that waits.

One thread in each process looks at all awaited orders together, and only while there are any.
"""

import re
import threading
import time
from collections.abc import Collection
from typing import Final
from uuid import UUID

from django.db import close_old_connections
from rest_framework.request import Request

from orders.models import Order

LONGEST_SECONDS: Final = 10
LOOK_EVERY_SECONDS: Final = 0.02

_PREFER_WAIT: Final = re.compile(r"(?:^|[,;\s])wait\s*=\s*(\d{1,6})")


def seconds_to_wait(request: Request) -> int:
    """Return what ``Prefer: wait=N`` (RFC 7240) asks for, at most ten seconds; 0 without it."""
    found = _PREFER_WAIT.search(request.headers.get("Prefer", ""))
    return min(int(found.group(1)), LONGEST_SECONDS) if found else 0


class Watcher:
    """Wakes those who wait for orders to reach a status."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._awaited: dict[threading.Event, tuple[UUID, Collection[str]]] = {}
        self._thread: threading.Thread | None = None

    def wait(self, order_id: UUID, statuses: Collection[str], seconds: float) -> None:
        """Return once the order has one of ``statuses``, or after ``seconds``."""
        reached = threading.Event()
        with self._changed:
            self._awaited[reached] = (order_id, statuses)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._watch, name="waiting", daemon=True)
                self._thread.start()
            self._changed.notify()
        try:
            reached.wait(seconds)
        finally:
            with self._changed:
                self._awaited.pop(reached, None)

    def _watch(self) -> None:
        while True:
            with self._changed:
                while not self._awaited:
                    self._changed.wait()
                awaited = dict(self._awaited)
            close_old_connections()
            self._look(awaited)
            time.sleep(LOOK_EVERY_SECONDS)  # noqa: TID251 - the pace of one thread, not of a request

    def _look(self, awaited: dict[threading.Event, tuple[UUID, Collection[str]]]) -> None:
        ids = {order_id for order_id, _ in awaited.values()}
        status_of = dict(Order.objects.filter(pk__in=ids).values_list("pk", "status"))
        for reached, (order_id, statuses) in awaited.items():
            if status_of.get(order_id) in statuses:
                reached.set()


watcher = Watcher()
