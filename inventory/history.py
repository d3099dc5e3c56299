"""What may be read of stock: what an order's lines hold, and the movements that made it so."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import F, Value

from inventory.models import Reservation, StockMovement


@dataclass(frozen=True, slots=True)
class LineStock:
    """What one order line holds, or one movement of stock for it."""

    line_id: UUID
    warehouse: str
    what: str
    """The reservation's state, or the kind of the movement."""
    quantity: int
    at: datetime
    is_movement: bool


def stock_of(line_ids: Sequence[UUID]) -> list[LineStock]:
    """Return what an order's lines hold and every movement for them, oldest first, in one query."""
    columns = ("line_id", "warehouse", "what", "quantity", "when", "is_movement")
    held = Reservation.objects.filter(line_id__in=line_ids).annotate(
        warehouse=F("stock_level__warehouse__code"),
        what=F("status"),
        when=F("created_at"),
        is_movement=Value(False),  # noqa: FBT003 - a column
    )
    moved = StockMovement.objects.filter(line_id__in=line_ids).annotate(
        warehouse=F("stock_level__warehouse__code"),
        what=F("kind"),
        when=F("at"),
        is_movement=Value(True),  # noqa: FBT003 - a column
    )
    both = held.values_list(*columns).union(moved.values_list(*columns), all=True)
    return [LineStock(*each) for each in both.order_by("when", "is_movement")]
