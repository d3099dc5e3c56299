"""The states of an order, and the moves between them."""

from collections.abc import Mapping
from typing import Final

from django.db.models import TextChoices


class OrderStatus(TextChoices):
    PLACED = "placed"  # accepted from the customer; its saga is at work
    CONFIRMED = "confirmed"  # its stock is held and its money is set aside or taken
    CANCELLING = "cancelling"  # whatever was done for it is being undone
    CANCELLED = "cancelled"  # final: nothing held, nothing taken


TRANSITIONS: Final[Mapping[OrderStatus, frozenset[OrderStatus]]] = {
    OrderStatus.PLACED: frozenset({OrderStatus.CONFIRMED, OrderStatus.CANCELLING}),
    OrderStatus.CONFIRMED: frozenset({OrderStatus.CANCELLING}),
    OrderStatus.CANCELLING: frozenset({OrderStatus.CANCELLED}),
    OrderStatus.CANCELLED: frozenset(),
}

SETTLED: Final = (OrderStatus.CONFIRMED, OrderStatus.CANCELLED)
"""Where a customer who waits has the answer."""
