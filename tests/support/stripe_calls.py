"""Calls of the Stripe provider's operations, each under a new idempotency key unless one is given.

The calls reach the sandbox (fixture ``sandbox_stripe``). Requests in plain HTTP are in ``stripe_http``; whole
payments of an order, with their rows, are in ``payment_attempts``.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

from outbound.deadline import Deadline
from payments.provider_types import PaymentRequest, ProviderPayment, ProviderRefund
from payments.providers.stripe.provider import API_VERSION, PROVIDER
from sandbox.stripe_process import SandboxServer

provider = PROVIDER


def deadline_in(seconds: float = 30) -> Deadline:
    return Deadline.after(timedelta(seconds=seconds))


def call_options(key: str | None = None) -> dict[str, Any]:
    """Return the arguments that every changing call needs: key, version and deadline."""
    return {"key": key or uuid4().hex, "api_version": API_VERSION, "deadline": deadline_in()}


def params(
    payment_method: str = "pm_card_visa",
    amount_minor: int = 1200,
    metadata: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return what ``create_payment`` sends for a payment in euro."""
    return provider.payment_params(
        PaymentRequest(amount_minor, "eur", payment_method, metadata or {"order_id": "42"})
    )


def created(payment_method: str = "pm_card_visa") -> ProviderPayment:
    return provider.create_payment(params(payment_method), **call_options())


def authorized(payment_method: str = "pm_card_visa") -> ProviderPayment:
    return provider.confirm_payment(created(payment_method).id, params(), **call_options())


def captured(payment_method: str = "pm_card_visa") -> ProviderPayment:
    payment = authorized(payment_method)
    return provider.capture_payment(payment.id, amount_minor=1200, currency="eur", **call_options())


def refunded(payment: ProviderPayment, amount_minor: int = 1200) -> ProviderRefund:
    return provider.create_refund(
        payment.id,
        amount_minor=amount_minor,
        currency="eur",
        metadata={"refund_id": "7"},
        **call_options(),
    )


def last_call_number(sandbox_stripe: SandboxServer) -> int:
    """Return the number of the latest call, for ``calls_since``."""
    return max((call["n"] for call in sandbox_stripe.calls()), default=0)


def calls_since(sandbox_stripe: SandboxServer, number: int) -> list[tuple[str, int | None]]:
    """Return the operation and status of each call after a number; None for no response."""
    return [(call["operation"], call["status"]) for call in sandbox_stripe.calls(number)]
