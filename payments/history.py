"""The payments of orders for other apps, from our database only."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, Subquery
from django.db.models.functions import JSONObject

from payments.models import Payment
from payments.states import PaymentStatus


@dataclass(frozen=True, slots=True)
class PaymentRecord:
    """One payment for an order, in minor units. A refunded one was refunded in full."""

    status: PaymentStatus
    amount_minor: int
    currency: str
    created_at: datetime
    authorized_at: datetime | None
    captured_at: datetime | None

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


_SHOWN = ("status", "amount_minor", "currency", "created_at", "authorized_at", "captured_at")


def latest_payment(order_id: str) -> Subquery:
    """Return an annotation that reads each order's latest payment in the query of the orders.

    ``order_id`` is the field with the order's id. ``payment_record`` reads the annotation.
    """
    found = Payment.objects.filter(order_id=OuterRef(order_id)).order_by("-created_at")
    return Subquery(found.values(shown=JSONObject(**{name: name for name in _SHOWN}))[:1])


def payment_record(annotated: Mapping[str, Any] | None) -> PaymentRecord | None:
    """Return the payment that ``latest_payment`` found; None if the order has none."""
    if annotated is None:
        return None
    moments = {name: annotated[name] for name in ("created_at", "authorized_at", "captured_at")}
    return PaymentRecord(
        status=PaymentStatus(annotated["status"]),
        amount_minor=annotated["amount_minor"],
        currency=annotated["currency"],
        **{name: at and datetime.fromisoformat(at) for name, at in moments.items()},
    )


def payments_of(order_ids: Sequence[UUID]) -> Mapping[UUID, list[PaymentRecord]]:
    """Return every payment of each order, oldest first, in one statement."""
    found: defaultdict[UUID, list[PaymentRecord]] = defaultdict(list)
    rows = Payment.objects.filter(order_id__in=order_ids).order_by("created_at")
    for order_id, status, *rest in rows.values_list("order_id", *_SHOWN):
        found[order_id].append(PaymentRecord(PaymentStatus(status), *rest))
    return found
