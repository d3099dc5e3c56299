"""Waits until an order changes, without one query loop per waiting request.

One thread per process reads all watched orders in one statement, and only while there are any.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import InterfaceError, OperationalError, close_old_connections

from orders.models import Order

log = logging.getLogger(__name__)

WAITER_POLL_SECONDS: Final = 0.02
"""Between two reads while a request waits for an order to settle."""
STREAM_POLL_SECONDS: Final = 0.2
"""Between two reads while there are event streams only."""
DATABASE_RETRY_SECONDS: Final = 1.0
"""Before the next read after the database did not answer."""


@dataclass(frozen=True, slots=True)
class OrderWatch:
    """What one request waits for: an order, and a condition on it, read ``with_live_progress``."""

    order_id: UUID
    is_met: Callable[[Order], bool]
    is_urgent: bool


class OrderWatcher:
    """Wakes waiting requests when their orders change. Safe to use from many threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watches: dict[threading.Event, OrderWatch] = {}
        self._thread: threading.Thread | None = None

    def wait_for_status(self, order_id: UUID, statuses: Collection[str], seconds: float) -> None:
        """Return once the order has one of ``statuses`` or waits for something, or after ``seconds``."""
        watch = OrderWatch(
            order_id,
            lambda order: order.status in statuses or order.wait is not None,
            is_urgent=True,
        )
        self._wait(watch, seconds)

    def wait_for_change(self, seen: Order, seconds: float) -> bool:
        """Return whether the order got further, or waits for something else, within ``seconds``."""
        watch = OrderWatch(
            seen.pk,
            lambda order: order.progress > seen.progress or order.wait != seen.wait,
            is_urgent=False,
        )
        return self._wait(watch, seconds)

    def _wait(self, watch: OrderWatch, seconds: float) -> bool:
        is_met = threading.Event()
        with self._changed:
            self._watches[is_met] = watch
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._poll_forever, name="order-watcher", daemon=True
                )
                self._thread.start()
            self._changed.notify()
        try:
            return is_met.wait(seconds)
        finally:
            with self._changed:
                self._watches.pop(is_met, None)

    def _poll_forever(self) -> None:
        while True:
            with self._changed:
                while not self._watches:
                    self._changed.wait()
                watches = dict(self._watches)
            close_old_connections()
            try:
                self._poll(watches)
            except (OperationalError, InterfaceError):
                log.exception("order_watcher.database_unavailable")
                time.sleep(DATABASE_RETRY_SECONDS)  # noqa: TID251 - as below
                continue
            time.sleep(WAITER_POLL_SECONDS)  # noqa: TID251 - the watcher's own thread, not a request's
            with self._changed:
                # An urgent watch that arrives meanwhile ends the longer pause.
                pause = STREAM_POLL_SECONDS - WAITER_POLL_SECONDS
                self._changed.wait_for(self._has_urgent_watch, pause)

    def _has_urgent_watch(self) -> bool:
        return any(watch.is_urgent for watch in self._watches.values())

    def _poll(self, watches: dict[threading.Event, OrderWatch]) -> None:
        order_ids = {watch.order_id for watch in watches.values()}
        found = Order.objects.with_live_progress().filter(pk__in=order_ids)
        orders = {order.pk: order for order in found.only("status", "version")}
        for is_met, watch in watches.items():
            order = orders.get(watch.order_id)
            if order and watch.is_met(order):
                is_met.set()


order_watcher = OrderWatcher()
