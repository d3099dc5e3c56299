"""The payments of orders for other apps, from our database only."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import (
    BooleanField,
    Count,
    ExpressionWrapper,
    OuterRef,
    Q,
    Subquery,
    Window,
)
from django.db.models.fields.json import KT
from django.db.models.functions import JSONObject

from payments.models import Payment
from payments.states import PaymentStatus


@dataclass(frozen=True, slots=True)
class PaymentRecord:
    """One payment for an order, in minor units. A refunded one was refunded in full."""

    id: UUID
    number: int
    """1 for the order's first payment."""
    status: PaymentStatus
    payment_method: str
    """The reference of the payment method, as the storefront sent it."""
    decline_code: str
    """Why the payment was declined, in the provider's code; empty if it was not."""
    has_action: bool
    """Whether its customer has to authenticate it."""
    amount_minor: int
    currency: str
    created_at: datetime
    authorized_at: datetime | None
    captured_at: datetime | None

    @property
    def is_declined(self) -> bool:
        """Whether it was declined, and is not cancelled yet."""
        return self.status == PaymentStatus.PREPARED and bool(self.decline_code)

    @property
    def needs_customer(self) -> bool:
        """Whether nothing happens to it until its customer authenticates it, or pays otherwise."""
        return self.is_declined or self.has_action

    @property
    def authorized_minor(self) -> int:
        """How much was held, also if it was taken or released since."""
        was_held = self.authorized_at is not None or self.captured_minor
        return self.amount_minor if was_held else 0

    @property
    def captured_minor(self) -> int:
        """How much was taken, also if it was refunded since."""
        taken = (PaymentStatus.CAPTURED, PaymentStatus.REFUNDED)
        return self.amount_minor if self.status in taken else 0

    @property
    def refunded_minor(self) -> int:
        return self.amount_minor if self.status == PaymentStatus.REFUNDED else 0


_COLUMNS: Final = (
    "id",
    "status",
    "decline_code",
    "amount_minor",
    "currency",
    "created_at",
    "authorized_at",
    "captured_at",
)
_DERIVED: Final[Mapping[str, Any]] = {
    "payment_method": KT("params__payment_method"),
    # Not the action itself: only its customer may see that.
    "has_action": ExpressionWrapper(Q(next_action__isnull=False), output_field=BooleanField()),
}


def latest_payment(order_id: str) -> Subquery:
    """Return an annotation that reads each order's latest payment in the query of the orders.

    ``order_id`` is the field with the order's id. ``payment_record`` reads the annotation.
    """
    found = Payment.objects.filter(order_id=OuterRef(order_id)).order_by("-created_at")
    columns = {name: name for name in _COLUMNS}
    shown = JSONObject(**columns, **_DERIVED, number=Window(Count("pk")))
    return Subquery(found.values(shown=shown)[:1])


def payment_record(annotated: Mapping[str, Any] | None) -> PaymentRecord | None:
    """Return the payment that ``latest_payment`` found; None if the order has none."""
    if annotated is None:
        return None
    moments = {name: annotated[name] for name in ("created_at", "authorized_at", "captured_at")}
    read = {name: at and datetime.fromisoformat(at) for name, at in moments.items()}
    return _record({**annotated, **read, "id": UUID(annotated["id"])})


def payments_of(order_ids: Sequence[UUID]) -> Mapping[UUID, list[PaymentRecord]]:
    """Return every payment of each order, oldest first, in one statement."""
    found: defaultdict[UUID, list[PaymentRecord]] = defaultdict(list)
    rows = Payment.objects.filter(order_id__in=order_ids).order_by("created_at")
    for row in rows.values("order_id", *_COLUMNS, **_DERIVED):
        earlier = found[row.pop("order_id")]
        earlier.append(_record({**row, "number": len(earlier) + 1}))
    return found


def _record(row: Mapping[str, Any]) -> PaymentRecord:
    return PaymentRecord(
        id=row["id"],
        number=row["number"],
        status=PaymentStatus(row["status"]),
        payment_method=row["payment_method"] or "",
        decline_code=row["decline_code"],
        has_action=row["has_action"],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        created_at=row["created_at"],
        authorized_at=row["authorized_at"],
        captured_at=row["captured_at"],
    )
