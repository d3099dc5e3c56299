"""Our dealings with the bank over one order: for the desk, with every id and key; and whose an id is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import F

from payments.models import Payment, Refund

KEYS: Final = ("create", "confirm", "capture", "cancel", "refund")
"""The operations at the bank that carry an idempotency key."""


@dataclass(frozen=True, slots=True)
class RefundDetail:
    """Money on its way back, in minor units; ``status`` is the bank's word, once it has answered."""

    id: UUID
    amount_minor: int
    status: str
    provider_refund_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class PaymentDetail:
    """One payment of an order, with what the bank is asked under. Amounts are in minor units."""

    id: UUID
    status: str
    amount_minor: int
    currency: str
    payment_method: str
    intent_id: str
    api_version: str
    decline_code: str
    created_at: datetime
    authorized_at: datetime | None
    captured_at: datetime | None
    closed_at: datetime | None
    keys: Mapping[str, str]
    """The idempotency key of each operation: the same for every attempt at it."""
    refund: RefundDetail | None


def payment_details(order_id: UUID) -> list[PaymentDetail]:
    """Return every payment of an order with its refund, oldest first, in one query."""
    found = Payment.objects.filter(order_id=order_id).annotate(
        refund_id=F("refunds__id"),
        refund_amount=F("refunds__amount_minor"),
        refund_status=F("refunds__status"),
        refund_bank_id=F("refunds__bank_refund_id"),
        refund_created_at=F("refunds__created_at"),
    )
    return [_payment(each) for each in found.order_by("created_at")]


def orders_with_provider_id(bank_id: str) -> list[UUID]:
    """Return the order that a PaymentIntent (``pi_…``) or a refund (``re_…``) of Stripe's is for."""
    by_intent = Payment.objects.filter(intent_id=bank_id).values_list("order_id", flat=True)
    by_refund = Refund.objects.filter(provider_refund_id=bank_id).values_list(
        "payment__order_id", flat=True
    )
    return list(by_intent if bank_id.startswith("pi_") else by_refund)


def _payment(payment: Any) -> PaymentDetail:
    return PaymentDetail(
        id=payment.pk,
        status=payment.status,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        payment_method=str(payment.params.get("payment_method", "")),
        intent_id=payment.intent_id or "",
        api_version=payment.api_version,
        decline_code=payment.decline_code,
        created_at=payment.created_at,
        authorized_at=payment.authorized_at,
        captured_at=payment.captured_at,
        closed_at=payment.closed_at,
        keys={each: payment.idempotency_key(each) for each in KEYS},
        refund=_refund(payment),
    )


def _refund(payment: Any) -> RefundDetail | None:
    if payment.refund_id is None:
        return None
    return RefundDetail(
        id=payment.refund_id,
        amount_minor=payment.refund_amount,
        status=payment.refund_status,
        provider_refund_id=payment.refund_bank_id,
        created_at=payment.refund_created_at,
    )
