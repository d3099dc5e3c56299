"""Waits until an order changes; see ``row_watcher``."""

from collections.abc import Collection
from uuid import UUID

from orders.api.http.row_watcher import RowWatch, RowWatcher
from orders.models import Order


class OrderWatcher(RowWatcher[Order]):
    """Wakes waiting requests when their orders change."""

    def __init__(self) -> None:
        super().__init__("order-watcher", _read_orders)

    def wait_for_status(self, order_id: UUID, statuses: Collection[str], seconds: float) -> None:
        """Return once the order has one of ``statuses`` or waits for something, or after ``seconds``."""
        watch: RowWatch[Order] = RowWatch(
            order_id,
            lambda order: order.status in statuses or order.wait is not None,
            is_urgent=True,
        )
        self.wait(watch, seconds)

    def wait_for_change(self, seen: Order, seconds: float) -> bool:
        """Return whether the order got further, or waits for something else, within ``seconds``."""
        watch: RowWatch[Order] = RowWatch(
            seen.pk,
            lambda order: order.progress > seen.progress or order.wait != seen.wait,
            is_urgent=False,
        )
        return self.wait(watch, seconds)


def _read_orders(order_ids: set[UUID]) -> dict[UUID, Order]:
    found = Order.objects.with_live_progress().filter(pk__in=order_ids)
    return {order.pk: order for order in found.only("status", "version")}


order_watcher = OrderWatcher()
