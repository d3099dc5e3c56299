"""The payments of one order for the desk, with every id and key; and the orders of an id."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import F

from payments.models import Payment, Refund
from payments.providers.registry import providers
from payments.states import PaymentStatus

KEYS: Final = ("create", "confirm", "capture", "cancel", "refund")
"""The operations at a provider that carry an idempotency key."""

ACTION_REQUIRED: Final = "action_required"
DECLINED: Final = "declined"


@dataclass(frozen=True, slots=True)
class RefundDetail:
    """Money on its way back, in minor units; ``status`` is empty until the provider answered."""

    id: UUID
    amount_minor: int
    status: str
    provider_refund_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class PaymentDetail:
    """One payment of an order, with its idempotency keys. Amounts are in minor units."""

    id: UUID
    status: str
    """As ``shown_status`` returns it."""
    amount_minor: int
    currency: str
    payment_method: str
    provider: str
    """The provider's name for staff."""
    provider_payment_id: str
    dashboard_url: str | None
    """The payment's page in the provider's dashboard."""
    api_version: str
    decline_code: str
    created_at: datetime
    authorized_at: datetime | None
    captured_at: datetime | None
    closing_since: datetime | None
    keys: Mapping[str, str]
    """The idempotency key of each operation: the same for every attempt at it."""
    refund: RefundDetail | None


def payment_details(order_id: UUID) -> list[PaymentDetail]:
    """Return every payment of an order with its refund, oldest first, in one query."""
    found = Payment.objects.filter(order_id=order_id).annotate(
        refund_id=F("refunds__id"),
        refund_amount=F("refunds__amount_minor"),
        refund_status=F("refunds__status"),
        provider_refund_id=F("refunds__provider_refund_id"),
        refund_created_at=F("refunds__created_at"),
    )
    return [_payment(payment) for payment in found.order_by("created_at")]


def shown_status(payment: Payment) -> str:
    """Return a payment's state for staff: the stored one, or that it waits for its customer.

    A prepared payment is action_required or declined as ``payments.history`` and the API have it.
    """
    if payment.next_action is not None:
        return ACTION_REQUIRED
    if payment.status == PaymentStatus.PREPARED and payment.decline_code:
        return DECLINED
    return payment.status


def provider_label(name: str) -> str:
    """Return a provider's name for staff, also for one that is no longer installed."""
    provider = providers().get(name)
    return provider.label if provider else name


def dashboard_url(provider_name: str, provider_id: str | None) -> str | None:
    """Return the page of a payment or refund in its provider's dashboard, if there is one."""
    provider = providers().get(provider_name)
    return provider.dashboard_url(provider_id) if provider and provider_id else None


def provider_ids_hint() -> str:
    """Return how staff recognize the ids of each provider, for a search field."""
    return ", ".join(f"{provider.label}'s {provider.id_hint}" for provider in providers().values())


def is_provider_id(term: str) -> bool:
    """Return whether a text has the form of a provider's id of a payment or a refund."""
    return any(provider.recognizes_id(term) for provider in providers().values())


def orders_with_provider_id(provider_id: str) -> list[UUID]:
    """Return the orders of a payment or a refund, by the id that its provider gave it."""
    if not is_provider_id(provider_id):
        return []
    by_payment = Payment.objects.filter(provider_payment_id=provider_id)
    by_refund = Refund.objects.filter(provider_refund_id=provider_id)
    found = by_payment.values_list("order_id", flat=True)
    return list(found.union(by_refund.values_list("payment__order_id", flat=True)))


def _payment(payment: Any) -> PaymentDetail:
    return PaymentDetail(
        id=payment.pk,
        status=shown_status(payment),
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        payment_method=payment.payment_method,
        provider=provider_label(payment.provider),
        provider_payment_id=payment.provider_payment_id or "",
        dashboard_url=dashboard_url(payment.provider, payment.provider_payment_id),
        api_version=payment.api_version,
        decline_code=payment.decline_code,
        created_at=payment.created_at,
        authorized_at=payment.authorized_at,
        captured_at=payment.captured_at,
        closing_since=payment.closing_since,
        keys={operation: payment.idempotency_key(operation) for operation in KEYS},
        refund=_refund(payment),
    )


def _refund(payment: Any) -> RefundDetail | None:
    if payment.refund_id is None:
        return None
    return RefundDetail(
        id=payment.refund_id,
        amount_minor=payment.refund_amount,
        status=payment.refund_status,
        provider_refund_id=payment.provider_refund_id,
        created_at=payment.refund_created_at,
    )
