"""The metrics of orders, per process. They count committed changes only."""

from collections.abc import Sequence
from functools import partial, update_wrapper
from typing import Final

from django.db import transaction
from django.utils import timezone
from prometheus_client import Counter, Histogram

from orders.models import Order
from orders.states import OrderStatus

ORDERS: Final = Counter("holdfast_orders", "Orders that reached a status.", ["status"])
SECONDS_TO_CONFIRM: Final = Histogram(
    "holdfast_order_seconds_to_confirm",
    "Seconds from placing an order to its confirmation.",
    buckets=(0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300),
)


def count_after_commit(orders: Sequence[Order], status: OrderStatus) -> None:
    """Count these orders under their new status when this transaction commits."""
    if orders:
        # Django names a robust hook in the log if it fails, and a partial has no name of its own.
        hook = update_wrapper(partial(_count, orders, status), _count)
        transaction.on_commit(hook, robust=True)


def _count(orders: Sequence[Order], status: OrderStatus) -> None:
    ORDERS.labels(status).inc(len(orders))
    if status == OrderStatus.CONFIRMED:
        now = timezone.now()  # a latency; where the clock was moved it is counted as 0
        for order in orders:
            SECONDS_TO_CONFIRM.observe(max((now - order.created_at).total_seconds(), 0))
