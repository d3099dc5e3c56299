"""Stripe's objects as the types of ``payments.provider_types``."""

from datetime import UTC, datetime
from typing import Final, cast

import stripe

from payments.provider_types import (
    CustomerAction,
    ProviderPayment,
    ProviderPaymentStatus,
    ProviderRefund,
    RefundStatus,
)
from payments.providers.stripe.currencies import from_stripe
from payments.providers.stripe.decline_codes import decline_code_of

PAYMENT_STATUSES: Final = {
    # Every payment is created with a payment method, so Stripe asks for one only after a decline.
    "requires_payment_method": ProviderPaymentStatus.DECLINED,
    "requires_confirmation": ProviderPaymentStatus.CREATED,
    "requires_action": ProviderPaymentStatus.REQUIRES_ACTION,
    "processing": ProviderPaymentStatus.PROCESSING,
    "requires_capture": ProviderPaymentStatus.AUTHORIZED,
    "succeeded": ProviderPaymentStatus.CAPTURED,
    "canceled": ProviderPaymentStatus.CANCELLED,
}
REFUND_STATUSES: Final = {
    "pending": RefundStatus.PENDING,
    "requires_action": RefundStatus.REQUIRES_ACTION,
    "succeeded": RefundStatus.SUCCEEDED,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.CANCELLED,
}


def read_payment(found: stripe.PaymentIntent) -> ProviderPayment:
    """Read a PaymentIntent. Raises KeyError for a status that Stripe has not documented."""
    declined = found.last_payment_error
    status = PAYMENT_STATUSES[found.status]
    waits = status is ProviderPaymentStatus.REQUIRES_ACTION
    return ProviderPayment(
        id=found.id,
        status=status,
        amount_minor=from_stripe(found.amount, found.currency),
        held_minor=from_stripe(found.amount_capturable, found.currency),
        captured_minor=from_stripe(found.amount_received, found.currency),
        currency=found.currency,
        decline_code=decline_code_of(declined) if declined else "",
        metadata=found.metadata.to_dict(),
        created_at=datetime.fromtimestamp(found.created, UTC),
        next_action=_read_action(found) if waits else None,
        client_secret=str(found.client_secret) if waits else "",
    )


def _read_action(found: stripe.PaymentIntent) -> CustomerAction:
    """Read the next action. Stripe's library in the storefront handles all but a redirection."""
    redirect = getattr(found.next_action, "redirect_to_url", None)
    if redirect is None:
        return CustomerAction("provider_sdk", "")
    return CustomerAction("redirect", redirect.url)


def read_refund(found: stripe.Refund) -> ProviderRefund:
    """Read a refund. Raises KeyError for a status that Stripe has not documented."""
    return ProviderRefund(
        id=found.id,
        payment_id=cast(str, found.payment_intent),
        status=REFUND_STATUSES[str(found.status)],
        amount_minor=from_stripe(found.amount, found.currency),
        currency=found.currency,
        metadata=found.metadata.to_dict() if found.metadata else {},
        failure_reason=getattr(found, "failure_reason", None) or "",
        created_at=datetime.fromtimestamp(found.created, UTC),
    )
