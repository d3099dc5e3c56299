"""Records what happened to payments: the only writer of their status, with an event for each change."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from bulk_sql.statements import Update, select, write
from events.event_types import Event
from events.services import outbox
from payments.events import (
    Money,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentRefunded,
    PaymentVoided,
)
from payments.models import Payment
from payments.states import SOURCES, PaymentStatus
from sagas.batch import Output


def record_authorizations(order_ids: Sequence[UUID]) -> None:
    """Record that these orders' open payments are authorized, with an event for each.

    Runs in the caller's transaction, once per payment. Raises RuntimeError for a payment that is
    not PREPARED.
    """
    payments = open_payments(order_ids)
    for payment in payments:
        _set_status(payment, PaymentStatus.AUTHORIZED)
        payment.authorized_at = payment.db_now
        payment.next_action, payment.client_secret = None, ""
        payment.decline_code = ""  # of an earlier confirmation
    events = outbox(_event(PaymentAuthorized, payment) for payment in payments)
    changed = ["status", "authorized_at", "decline_code", "next_action", "client_secret"]
    write(Update(payments, changed), events)


def record_decline(order_id: UUID, decline_code: str) -> None:
    """Record why the order's open payment was declined, for a customer who may pay otherwise.

    Repeating changes nothing. The payment keeps its status: closing ends it.
    """
    declined = Payment.objects.filter(order_id=order_id, closing_since__isnull=True)
    declined.exclude(decline_code=decline_code).update(decline_code=decline_code)


def record_captures(order_ids: Sequence[UUID]) -> None:
    """Record that these orders' open payments are captured, with an event for each.

    Runs in the caller's transaction, once per payment. Raises RuntimeError for a payment that is
    not AUTHORIZED.
    """
    payments = open_payments(order_ids)
    for payment in payments:
        _set_status(payment, PaymentStatus.CAPTURED)
        payment.captured_at = payment.db_now
    events = outbox(_event(PaymentCaptured, payment) for payment in payments)
    write(Update(payments, ["status", "captured_at"]), events)


def record_closings(results: Mapping[UUID, Output]) -> None:
    """Record how the orders' payments ended, from the results of ``close``, with an event for each.

    Runs in the caller's transaction. Repeating changes nothing. Raises RuntimeError for a payment
    whose status does not lead to that end.
    """
    ends = {
        UUID(end["payment_id"]): end for result in results.values() for end in result["payments"]
    }
    found = select(Payment, "WHERE id = ANY(%s) ORDER BY id", [list(ends)], lock=True)
    payments = [payment for payment in found if payment.status != ends[payment.pk]["status"]]
    for payment in payments:
        _set_status(payment, PaymentStatus(ends[payment.pk]["status"]))
        recorded = payment.decline_code if payment.status == PaymentStatus.VOIDED else ""
        payment.decline_code = ends[payment.pk].get("decline_code") or recorded
    write(
        Update(payments, ["status", "decline_code"]),
        outbox(map(_closed, payments)),
    )


def open_payments(order_ids: Sequence[UUID]) -> list[Payment]:
    condition = "WHERE order_id = ANY(%s) AND closing_since IS NULL ORDER BY id"
    ids = [list(order_ids)]
    return select(Payment, condition, ids, lock=True, db_now="clock_now()")


def _set_status(payment: Payment, status: PaymentStatus) -> None:
    """Set the status of a locked payment. Raises RuntimeError for a transition that is not allowed."""
    if payment.status not in SOURCES[status]:
        raise RuntimeError(f"{payment} cannot become {status}")
    payment.status = status


def _closed(payment: Payment) -> Event:
    if payment.status == PaymentStatus.REFUNDED:
        return _event(PaymentRefunded, payment)
    return _event(PaymentVoided, payment, decline_code=payment.decline_code)


def _event(payload: type[Money], payment: Payment, **more: str) -> Event:
    money = payload(
        payment_id=payment.pk,
        provider=payment.provider,
        provider_payment_id=payment.provider_payment_id or "",
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        **more,
    )
    return Event(payment.order_id, payment.correlation_id, money)
