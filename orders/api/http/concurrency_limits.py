"""Limits on requests that occupy a thread of this process: in total, and per customer."""

import threading
from collections import Counter
from enum import Enum, auto
from typing import Final
from uuid import UUID

from django.conf import settings

from orders.models import Order

LimitKey = int | UUID
"""A customer's id, or the id of a guest's order."""


def limit_key(order: Order) -> LimitKey:
    """Return the key under which requests about an order are counted.

    The limit is per customer, whichever credential they use; a guest is limited per order.
    """
    return order.customer_id or order.pk


class Acquired(Enum):
    """The result of ``ConcurrencyLimit.acquire``."""

    YES = auto()
    PROCESS_LIMIT_REACHED = auto()
    CUSTOMER_LIMIT_REACHED = auto()


class ConcurrencyLimit:
    """Counts running requests against two settings: a limit per process and one per customer."""

    def __init__(self, process_setting: str, customer_setting: str) -> None:
        self._process_setting = process_setting
        self._customer_setting = customer_setting
        self._lock = threading.Lock()
        self._running: Counter[LimitKey] = Counter()

    def acquire(self, key: LimitKey) -> Acquired:
        """Count one request more, unless a limit is reached. Never waits."""
        with self._lock:
            if self._running[key] >= getattr(settings, self._customer_setting):
                return Acquired.CUSTOMER_LIMIT_REACHED
            if self._running.total() >= getattr(settings, self._process_setting):
                return Acquired.PROCESS_LIMIT_REACHED
            self._running[key] += 1
            return Acquired.YES

    def release(self, key: LimitKey) -> None:
        with self._lock:
            self._running[key] -= 1
            self._running += Counter()  # drops keys whose count is zero


waiters: Final = ConcurrencyLimit("WAITERS_PER_PROCESS", "WAITERS_PER_CUSTOMER")
"""The limit on requests that wait for an order to settle, or for an approval to be decided."""
