"""What other apps may ask of payments. The calls to the bank are in ``payments.bank_calls``."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db.models.functions import Now

from events.facts import Fact, FactType
from events.services import record
from payments.bank_calls import authorize, capture, close
from payments.facts import PAYMENT_AUTHORIZED, PAYMENT_CAPTURED, PAYMENT_REFUNDED, PAYMENT_VOIDED
from payments.models import Payment
from payments.states import SOURCES, PaymentStatus
from payments.stripe_gateway import API_VERSION, intent_params
from sagas.definition import Output
from sagas.identifiers import new_id

__all__ = [
    "Charge",
    "authorize",
    "begin_closing",
    "capture",
    "close",
    "intend",
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


def intend(charges: Iterable[Charge]) -> None:
    """Write payments down before the bank hears of them, in the caller's transaction.

    An order that has an open payment keeps it: repeating changes nothing.
    """
    Payment.objects.bulk_create((_payment(each) for each in charges), ignore_conflicts=True)


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
    _move(payments, PaymentStatus.AUTHORIZED, authorized_at=Now())
    record(_fact(PAYMENT_AUTHORIZED, each) for each in payments)


def record_captures(order_ids: Sequence[UUID]) -> None:
    """Record that the bank has taken the money of these orders' open payments."""
    payments = _open_payments(order_ids)
    _move(payments, PaymentStatus.CAPTURED, captured_at=Now())
    record(_fact(PAYMENT_CAPTURED, each) for each in payments)


def begin_closing(order_ids: Sequence[UUID]) -> None:
    """Shut the door: from this commit on no id is stored for these orders, and none confirmed."""
    Payment.objects.filter(order_id__in=order_ids, closed_at__isnull=True).update(closed_at=Now())


def record_closings(answers: Mapping[UUID, Output]) -> None:
    """Record how the orders' payments ended, as ``close`` answered."""
    ends = {UUID(each["payment_id"]): each for a in answers.values() for each in a["payments"]}
    payments = [
        each
        for each in Payment.objects.filter(pk__in=ends)
        if each.status != ends[each.pk]["status"]
    ]
    for each in payments:
        each.decline_code = ends[each.pk].get("decline_code", "")
    for status, fact_type in (
        (PaymentStatus.VOIDED, PAYMENT_VOIDED),
        (PaymentStatus.REFUNDED, PAYMENT_REFUNDED),
    ):
        ended = [each for each in payments if ends[each.pk]["status"] == status]
        for code in {each.decline_code for each in ended}:
            _move([p for p in ended if p.decline_code == code], status, decline_code=code)
        record(_fact(fact_type, each) for each in ended)


def _open_payments(order_ids: Sequence[UUID]) -> list[Payment]:
    return list(Payment.objects.filter(order_id__in=order_ids, closed_at__isnull=True))


def _move(payments: Sequence[Payment], status: PaymentStatus, **also: object) -> None:
    """Move payments on. The runs that own them are held, so nobody else can have moved them."""
    moved = Payment.objects.filter(
        pk__in=[each.pk for each in payments], status__in=SOURCES[status]
    ).update(status=status, **also)
    if moved != len(payments):
        raise RuntimeError(f"{moved} of {len(payments)} payments could become {status}")


def _fact(fact_type: FactType, payment: Payment) -> Fact:
    payload: dict[str, object] = {
        "payment_id": str(payment.pk),
        "intent_id": payment.intent_id or "",
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
    }
    if "decline_code" in fact_type.fields:
        payload["decline_code"] = payment.decline_code
    return fact_type.of(payment.order_id, payment.correlation_id, payload)
