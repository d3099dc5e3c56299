"""The interface of payments for other apps. ``payments.payment_operations`` calls the providers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings

from clock.now import Now
from events.event_types import Event, EventType
from events.services import outbox
from money.amounts import format_amount
from payments.errors import CurrencyNotCharged
from payments.events import PAYMENT_AUTHORIZED, PAYMENT_CAPTURED, PAYMENT_REFUNDED, PAYMENT_VOIDED
from payments.models import Payment
from payments.payment_operations import authorize, capture, close
from payments.provider_types import ChargeLimits, PaymentRequest
from payments.providers.registry import provider_name_for_method, provider_named, providers
from payments.states import SOURCES, PaymentStatus
from sagas.batch import Output
from sagas.bulk_sql import Insert, Update, select, write
from sagas.identifiers import new_id

__all__ = [
    "Charge",
    "ChargeLimits",
    "authorize",
    "capture",
    "charge_limits",
    "check_currency",
    "close",
    "is_payment_method",
    "mark_closing",
    "payment_method_hint",
    "prepare_payments",
    "price_problem",
    "record_authorizations",
    "record_captures",
    "record_closings",
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


def record_authorizations(order_ids: Sequence[UUID]) -> None:
    """Record that these orders' open payments are authorized, with an event for each.

    Runs in the caller's transaction, once per payment. Raises RuntimeError for a payment that is
    not PREPARED.
    """
    payments = _open_payments(order_ids)
    for payment in payments:
        _set_status(payment, PaymentStatus.AUTHORIZED)
        payment.authorized_at = payment.db_now
    events = outbox(_event(PAYMENT_AUTHORIZED, payment) for payment in payments)
    write(Update(payments, ["status", "authorized_at"]), events)


def record_captures(order_ids: Sequence[UUID]) -> None:
    """Record that these orders' open payments are captured, with an event for each.

    Runs in the caller's transaction, once per payment. Raises RuntimeError for a payment that is
    not AUTHORIZED.
    """
    payments = _open_payments(order_ids)
    for payment in payments:
        _set_status(payment, PaymentStatus.CAPTURED)
        payment.captured_at = payment.db_now
    events = outbox(_event(PAYMENT_CAPTURED, payment) for payment in payments)
    write(Update(payments, ["status", "captured_at"]), events)


def mark_closing(order_ids: Sequence[UUID]) -> None:
    """Mark the orders' payments for closing. Repeating changes nothing.

    After the commit no provider id is stored for them, so a payment without an id is never
    confirmed. A worker that read the payment before may still confirm one that has an id, until
    ``close`` has cancelled it at the provider.
    """
    Payment.objects.filter(order_id__in=order_ids, closing_since__isnull=True).update(
        closing_since=Now()
    )


def record_closings(results: Mapping[UUID, Output]) -> None:
    """Record how the orders' payments ended, from the results of ``close``, with an event for each.

    Runs in the caller's transaction. Repeating changes nothing. Raises RuntimeError for a payment
    whose status does not lead to that end.
    """
    ends = {
        UUID(end["payment_id"]): end for result in results.values() for end in result["payments"]
    }
    events = {PaymentStatus.VOIDED: PAYMENT_VOIDED, PaymentStatus.REFUNDED: PAYMENT_REFUNDED}
    found = select(Payment, "WHERE id = ANY(%s) ORDER BY id", [list(ends)], lock=True)
    payments = [payment for payment in found if payment.status != ends[payment.pk]["status"]]
    for payment in payments:
        _set_status(payment, PaymentStatus(ends[payment.pk]["status"]))
        payment.decline_code = ends[payment.pk].get("decline_code", "")
    write(
        Update(payments, ["status", "decline_code"]),
        outbox(_event(events[PaymentStatus(payment.status)], payment) for payment in payments),
    )


def _open_payments(order_ids: Sequence[UUID]) -> list[Payment]:
    condition = "WHERE order_id = ANY(%s) AND closing_since IS NULL ORDER BY id"
    ids = [list(order_ids)]
    return select(Payment, condition, ids, lock=True, db_now="clock_now()")


def _set_status(payment: Payment, status: PaymentStatus) -> None:
    """Set the status of a locked payment. Raises RuntimeError for a transition that is not allowed."""
    if payment.status not in SOURCES[status]:
        raise RuntimeError(f"{payment} cannot become {status}")
    payment.status = status


def _event(event_type: EventType, payment: Payment) -> Event:
    payload: dict[str, object] = {
        "payment_id": str(payment.pk),
        "provider": payment.provider,
        "provider_payment_id": payment.provider_payment_id or "",
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
    }
    if "decline_code" in event_type.fields:
        payload["decline_code"] = payment.decline_code
    return event_type.of(payment.order_id, payment.correlation_id, payload)
