"""What is on the shelves: by the levels, by the movements and by the reservations."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import BigIntegerField, Count, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from inventory.models import (
    MovementKind,
    Reservation,
    ReservationStatus,
    StockLevel,
    StockMovement,
)


@dataclass(frozen=True, slots=True)
class StockAccount:
    """One stock level, and what it ought to be."""

    sku: str
    warehouse: str
    on_hand: int
    reserved: int
    received: int  # by the receipts
    moved: int  # by the reserve and release movements
    held: int  # by the reservations that are not released


@dataclass(frozen=True, slots=True)
class HoldingAccount:
    """What one order's reservations are, by status: how many lines."""

    order_id: str
    held: int
    confirmed: int


def stock_accounts() -> Iterator[StockAccount]:
    """Every stock level, three times."""
    levels = StockLevel.objects.annotate(
        received=_sum(StockMovement.objects.filter(kind=MovementKind.RECEIPT)),
        taken=_sum(StockMovement.objects.filter(kind=MovementKind.RESERVE)),
        given_back=_sum(StockMovement.objects.filter(kind=MovementKind.RELEASE)),
        held=_sum(Reservation.objects.exclude(status=ReservationStatus.RELEASED)),
    ).select_related("product", "warehouse")
    for each in levels.order_by("pk"):
        yield StockAccount(
            sku=each.product.sku,
            warehouse=each.warehouse.code,
            on_hand=each.on_hand,
            reserved=each.reserved,
            received=each.received,
            moved=each.taken - each.given_back,
            held=each.held,
        )


def holding_accounts() -> dict[str, HoldingAccount]:
    """What each order that has reservations left holds, by order id."""
    counted = Reservation.objects.values("order_id").annotate(
        held=Count("pk", filter=Q(status=ReservationStatus.HELD)),
        confirmed=Count("pk", filter=Q(status=ReservationStatus.CONFIRMED)),
    )
    return {
        str(each["order_id"]): HoldingAccount(
            str(each["order_id"]), each["held"], each["confirmed"]
        )
        for each in counted
    }


def _sum(rows: "QuerySet[StockMovement] | QuerySet[Reservation]") -> Coalesce:
    """The quantities of those ``rows`` that belong to a stock level."""
    of_level = rows.filter(stock_level=OuterRef("pk")).order_by().values("stock_level")
    total = of_level.annotate(total=Sum("quantity")).values("total")
    return Coalesce(Subquery(total), 0, output_field=BigIntegerField())
