"""What other apps may ask of payments. The calls to the bank are in ``payments.payment_operations``."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db.models.functions import Now

from events.event_types import Event, EventType
from events.services import outbox
from payments.events import PAYMENT_AUTHORIZED, PAYMENT_CAPTURED, PAYMENT_REFUNDED, PAYMENT_VOIDED
from payments.models import Payment
from payments.payment_operations import authorize, capture, close
from payments.providers.stripe.gateway import API_VERSION, intent_params
from payments.states import SOURCES, PaymentStatus
from sagas.bulk_sql import Insert, Update, select, write
from sagas.definition import Output
from sagas.identifiers import new_id

__all__ = [
    "Charge",
    "authorize",
    "begin_closing",
    "capture",
    "close",
    "prepare_payments",
    "record_authorizations",
    "record_captures",
    "record_closings",
]


@dataclass(frozen=True, slots=True)
class Charge:
    """What an order costs, and what it is to be paid with (the bank's id, never card data)."""

    order_id: UUID
    correlation_id: UUID
    amount_minor: int
    currency: str
    payment_method: str


def prepare_payments(charges: Iterable[Charge]) -> Insert:
    """Return the payments that are to be written down before the bank hears of them.

    An order that has an open payment keeps it: repeating changes nothing.
    """
    return Insert([_payment(each) for each in charges], "ON CONFLICT DO NOTHING")


def _payment(charge: Charge) -> Payment:
    payment_id = new_id()
    metadata = {
        "installation_id": settings.INSTALLATION_ID,
        "order_id": str(charge.order_id),
        "payment_id": str(payment_id),
    }
    return Payment(
        pk=payment_id,
        order_id=charge.order_id,
        correlation_id=charge.correlation_id,
        amount_minor=charge.amount_minor,
        currency=charge.currency,
        params=intent_params(
            amount_minor=charge.amount_minor,
            currency=charge.currency,
            payment_method=charge.payment_method,
            metadata=metadata,
        ),
        api_version=API_VERSION,
    )


def record_authorizations(order_ids: Sequence[UUID]) -> None:
    """Record that the bank holds the money of these orders' open payments."""
    payments = _open_payments(order_ids)
    for each in payments:
        _move(each, PaymentStatus.AUTHORIZED)
        each.authorized_at = each.db_now
    events = outbox(_event(PAYMENT_AUTHORIZED, each) for each in payments)
    write(Update(payments, ["status", "authorized_at"]), events)


def record_captures(order_ids: Sequence[UUID]) -> None:
    """Record that the bank has taken the money of these orders' open payments."""
    payments = _open_payments(order_ids)
    for each in payments:
        _move(each, PaymentStatus.CAPTURED)
        each.captured_at = each.db_now
    events = outbox(_event(PAYMENT_CAPTURED, each) for each in payments)
    write(Update(payments, ["status", "captured_at"]), events)


def begin_closing(order_ids: Sequence[UUID]) -> None:
    """Shut the door: from this commit on no id is stored for these orders, and none confirmed."""
    Payment.objects.filter(order_id__in=order_ids, closed_at__isnull=True).update(closed_at=Now())


def record_closings(answers: Mapping[UUID, Output]) -> None:
    """Record how the orders' payments ended, as ``close`` answered."""
    ends = {UUID(each["payment_id"]): each for a in answers.values() for each in a["payments"]}
    events = {PaymentStatus.VOIDED: PAYMENT_VOIDED, PaymentStatus.REFUNDED: PAYMENT_REFUNDED}
    found = select(Payment, "WHERE id = ANY(%s) ORDER BY id", [list(ends)], lock=True)
    payments = [each for each in found if each.status != ends[each.pk]["status"]]
    for each in payments:
        _move(each, PaymentStatus(ends[each.pk]["status"]))
        each.decline_code = ends[each.pk].get("decline_code", "")
    write(
        Update(payments, ["status", "decline_code"]),
        outbox(_event(events[PaymentStatus(each.status)], each) for each in payments),
    )


def _open_payments(order_ids: Sequence[UUID]) -> list[Payment]:
    condition = "WHERE order_id = ANY(%s) AND closed_at IS NULL ORDER BY id"
    ids = [list(order_ids)]
    return select(Payment, condition, ids, lock=True, db_now="statement_timestamp()")


def _move(payment: Payment, status: PaymentStatus) -> None:
    """Move a locked payment on. Its run is held, so nobody else can have moved it."""
    if payment.status not in SOURCES[status]:
        raise RuntimeError(f"{payment} cannot become {status}")
    payment.status = status


def _event(fact_type: EventType, payment: Payment) -> Event:
    payload: dict[str, object] = {
        "payment_id": str(payment.pk),
        "intent_id": payment.intent_id or "",
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
    }
    if "decline_code" in fact_type.fields:
        payload["decline_code"] = payment.decline_code
    return fact_type.of(payment.order_id, payment.correlation_id, payload)
