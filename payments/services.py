"""The interface of payments for other apps. ``payments.payment_operations`` calls the providers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.conf import settings

from bulk_sql.statements import Insert, select, write
from clock.now import Now
from money.amounts import format_amount
from payments.errors import CurrencyNotCharged, PaymentInProgress, TooManyPayments
from payments.models import Payment
from payments.payment_operations import authorize, capture, close
from payments.provider_types import ChargeLimits, CustomerAction, PaymentRequest
from payments.providers.registry import provider_name_for_method, provider_named, providers
from payments.recording import (
    record_authorizations,
    record_captures,
    record_closings,
    record_decline,
)
from payments.states import PaymentStatus
from sagas.identifiers import new_id

__all__ = [
    "Charge",
    "ChargeLimits",
    "CustomerAction",
    "PendingAction",
    "authorize",
    "authorized_until",
    "capture",
    "charge_limits",
    "check_currency",
    "close",
    "customer_action",
    "is_payment_method",
    "mark_closing",
    "payment_method_hint",
    "prepare_payments",
    "price_problem",
    "record_authorizations",
    "record_captures",
    "record_closings",
    "record_decline",
    "replace_payment",
]


@dataclass(frozen=True, slots=True)
class Charge:
    """What an order costs in minor units, and the reference of its payment method (never card data)."""

    order_id: UUID
    correlation_id: UUID
    amount_minor: int
    currency: str
    payment_method: str


def is_payment_method(reference: str) -> bool:
    """Return whether a provider of this installation accepts a reference of this form."""
    return any(provider.accepts_payment_method(reference) for provider in providers().values())


def payment_method_hint() -> str:
    """Return which references are accepted, as a text for the developer of a storefront."""
    return "; ".join(provider.payment_method_hint for provider in providers().values())


def charge_limits(currency: str, payment_method: str | None = None) -> ChargeLimits:
    """Return the smallest and the largest chargeable amount and its increment, in minor units.

    They are those of the payment method's provider; without a method, the widest of all providers.
    Makes no call. Raises UnknownPaymentMethod and CurrencyNotCharged.
    """
    names = [provider_name_for_method(payment_method)] if payment_method else list(providers())
    found = [limits for name in names if (limits := provider_named(name).charge_limits(currency))]
    if not found:
        raise CurrencyNotCharged(", ".join(names), currency)
    return ChargeLimits(
        min_minor=min(limits.min_minor for limits in found),
        max_minor=max(limits.max_minor for limits in found),
        increment_minor=min(limits.increment_minor for limits in found),
    )


def check_currency(currency: str) -> None:
    """Raise CurrencyNotCharged unless every provider of this installation charges in a currency."""
    for name, provider in providers().items():
        if provider.charge_limits(currency) is None:
            raise CurrencyNotCharged(name, currency)


def price_problem(price_minor: int, currency: str) -> str:
    """Return why some provider cannot charge a price, as a sentence for staff; empty if all can.

    A price may be below the minimum, because the minimum applies to the whole cart.
    """
    for provider in providers().values():
        limits = provider.charge_limits(currency)
        if limits is None:
            return f"{provider.label} does not charge in {currency.upper()}."
        if price_minor % limits.increment_minor:
            step = format_amount(limits.increment_minor, currency)
            return f"{provider.label} charges only multiples of {step} ({limits.increment_minor} here)."
        if price_minor > limits.max_minor:
            most = format_amount(limits.max_minor, currency)
            return f"{provider.label} charges at most {most}."
    return ""


def prepare_payments(charges: Iterable[Charge]) -> Insert:
    """Return an insert of the payments. The caller commits it before a provider is called.

    Repeating changes nothing: an order that has an open payment keeps it. Of concurrent inserts for
    one order, one takes effect. Raises UnknownPaymentMethod.
    """
    return Insert([_payment(charge) for charge in charges], "ON CONFLICT DO NOTHING")


def _payment(charge: Charge) -> Payment:
    name = provider_name_for_method(charge.payment_method)
    provider = provider_named(name)
    payment_id = new_id()
    request = PaymentRequest(
        amount_minor=charge.amount_minor,
        currency=charge.currency,
        payment_method=charge.payment_method,
        metadata={
            "installation_id": settings.INSTALLATION_ID,
            "order_id": str(charge.order_id),
            "payment_id": str(payment_id),
        },
        return_url=settings.PAYMENT_RETURN_URL,
    )
    return Payment(
        pk=payment_id,
        order_id=charge.order_id,
        correlation_id=charge.correlation_id,
        amount_minor=charge.amount_minor,
        currency=charge.currency,
        provider=name,
        params=provider.payment_params(request),
        api_version=provider.api_version,
    )


def replace_payment(charge: Charge, *, replaces: UUID | None = None) -> UUID:
    """Close the order's open payment, store another one, and return its id.

    Runs in the caller's transaction, under the lock of the order's run. The earlier payment is cancelled
    at its provider before the new one is created there; ``authorize`` does both. Concurrent calls
    run one after the other.

    ``replaces`` names an open payment whose customer has to act. Without it such a payment is not
    closed: raises PaymentInProgress. Raises TooManyPayments when the order has MAX_PAYMENTS_PER_ORDER
    payments already, and UnknownPaymentMethod. Then nothing is changed.
    """
    payments = select(Payment, "WHERE order_id = %s ORDER BY id", [charge.order_id], lock=True)
    still_open = next((payment for payment in payments if payment.closing_since is None), None)
    if still_open is not None and still_open.next_action is not None and replaces != still_open.pk:
        raise PaymentInProgress(still_open.pk)
    if len(payments) >= settings.MAX_PAYMENTS_PER_ORDER:
        raise TooManyPayments(settings.MAX_PAYMENTS_PER_ORDER)
    payment = _payment(charge)
    mark_closing([charge.order_id])
    write(Insert([payment]))
    return payment.pk


def accepts_another_payment(order_id: UUID) -> bool:
    """Return whether the order has fewer payments than MAX_PAYMENTS_PER_ORDER."""
    return Payment.objects.filter(order_id=order_id).count() < settings.MAX_PAYMENTS_PER_ORDER


def was_declined_before(order_id: UUID) -> bool:
    """Return whether an earlier attempt recorded that the order's open payment is declined."""
    still_open = Payment.objects.filter(order_id=order_id, closing_since__isnull=True)
    return still_open.exclude(decline_code="").exists()


def authorized_until(order_id: UUID) -> datetime | None:
    """Return until when the money of an order is held at least, by what its provider says in general.

    None if no money is held, or if the provider does not say it. Makes no call.
    """
    held = Payment.objects.filter(
        order_id=order_id, closing_since__isnull=True, status=PaymentStatus.AUTHORIZED
    ).first()
    if held is None or held.authorized_at is None:
        return None
    provider = providers().get(held.provider)
    time = provider.authorization_time if provider else None
    return None if time is None else held.authorized_at + time


@dataclass(frozen=True, slots=True)
class PendingAction:
    """What the customer of an order has to do, and the secret that the provider's library needs.

    Only this customer may see it. Neither of them may be logged.
    """

    action: CustomerAction
    client_secret: str = field(repr=False)
    payment_id: UUID


def customer_action(order_id: UUID) -> PendingAction | None:
    """Return what an order's customer has to do before the payment goes on; None for nothing.

    It is what ``authorize`` stored before it raised AuthenticationRequired. Makes no call.
    """
    open_payments = Payment.objects.filter(order_id=order_id, closing_since__isnull=True)
    payment = open_payments.only("next_action", "client_secret").first()
    if payment is None or payment.next_action is None:
        return None
    return PendingAction(CustomerAction(**payment.next_action), payment.client_secret, payment.pk)


def mark_closing(order_ids: Sequence[UUID]) -> None:
    """Mark the orders' payments for closing, and forget what their customers had to do.

    Repeating changes nothing.

    After the commit no provider id is stored for them, so a payment without an id is never
    confirmed. A worker that read the payment before may still confirm one that has an id, until
    ``close`` has cancelled it at the provider.
    """
    Payment.objects.filter(order_id__in=order_ids, closing_since__isnull=True).update(
        closing_since=Now(), next_action=None, client_secret=""
    )
