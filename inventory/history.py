"""The stock of an order's lines: their reservations and movements."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import F, Value

from inventory.models import Reservation, StockMovement


@dataclass(frozen=True, slots=True)
class LineStock:
    """The reservation of one order line, or one movement of its stock."""

    line_id: UUID
    warehouse: str
    label: str
    """The reservation's status, or the kind of the movement."""
    quantity: int
    at: datetime
    is_movement: bool


def stock_of(line_ids: Sequence[UUID]) -> list[LineStock]:
    """Return the reservations and movements of order lines, oldest first, in one query."""
    columns = ("line_id", "warehouse", "label", "quantity", "when", "is_movement")
    held = Reservation.objects.filter(line_id__in=line_ids).annotate(
        warehouse=F("stock_level__warehouse__code"),
        label=F("status"),
        when=F("created_at"),
        is_movement=Value(False),  # noqa: FBT003 - a column
    )
    moved = StockMovement.objects.filter(line_id__in=line_ids).annotate(
        warehouse=F("stock_level__warehouse__code"),
        label=F("kind"),
        when=F("at"),
        is_movement=Value(True),  # noqa: FBT003 - a column
    )
    both = held.values_list(*columns).union(moved.values_list(*columns), all=True)
    return [LineStock(*row) for row in both.order_by("when", "is_movement")]
