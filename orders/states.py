"""The states of an order, and the transitions between them."""

from collections.abc import Mapping
from typing import Final

from django.db.models import TextChoices


class OrderStatus(TextChoices):
    PLACED = "placed"  # accepted; its checkout is running
    CONFIRMED = "confirmed"  # its stock is reserved, and its money is authorized or captured
    CANCELLING = "cancelling"  # its steps are being compensated
    CANCELLED = "cancelled"  # final: no stock is reserved, no money is held or taken


TRANSITIONS: Final[Mapping[OrderStatus, frozenset[OrderStatus]]] = {
    OrderStatus.PLACED: frozenset({OrderStatus.CONFIRMED, OrderStatus.CANCELLING}),
    OrderStatus.CONFIRMED: frozenset({OrderStatus.CANCELLING}),
    OrderStatus.CANCELLING: frozenset({OrderStatus.CANCELLED}),
    OrderStatus.CANCELLED: frozenset(),
}

SETTLED: Final = (OrderStatus.CONFIRMED, OrderStatus.CANCELLED)
"""The states in which a customer who waits gets the result."""
