"""Calls to Stripe's provider as the tests make them, each under a key of its own by default."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

from outbound.deadline import Deadline
from payments.provider_types import PaymentRequest, ProviderPayment, ProviderRefund
from payments.providers.stripe.provider import API_VERSION, PROVIDER
from sandbox.stripe_process import SandboxServer

provider = PROVIDER


def within(seconds: float = 30) -> Deadline:
    return Deadline.after(timedelta(seconds=seconds))


def asking(key: str | None = None) -> dict[str, Any]:
    return {"key": key or uuid4().hex, "api_version": API_VERSION, "deadline": within()}


def params(
    payment_method: str = "pm_card_visa",
    amount_minor: int = 1200,
    metadata: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    return provider.payment_params(
        PaymentRequest(amount_minor, "eur", payment_method, metadata or {"order_id": "42"})
    )


def created(payment_method: str = "pm_card_visa") -> ProviderPayment:
    return provider.create_payment(params(payment_method), **asking())


def authorized(payment_method: str = "pm_card_visa") -> ProviderPayment:
    return provider.confirm_payment(created(payment_method).id, **asking())


def captured(payment_method: str = "pm_card_visa") -> ProviderPayment:
    payment = authorized(payment_method)
    return provider.capture_payment(payment.id, amount_minor=1200, currency="eur", **asking())


def refunded(payment: ProviderPayment, amount_minor: int = 1200) -> ProviderRefund:
    return provider.create_refund(
        payment.id,
        amount_minor=amount_minor,
        currency="eur",
        metadata={"refund_id": "7"},
        **asking(),
    )


def mark(sandbox_stripe: SandboxServer) -> int:
    """The number of the latest call, to look later at those that came after it."""
    return max((call["n"] for call in sandbox_stripe.calls()), default=0)


def calls_since(sandbox_stripe: SandboxServer, mark: int) -> list[tuple[str, int | None]]:
    """Each call's operation and the status it was answered with; None where there was silence."""
    return [(call["operation"], call["status"]) for call in sandbox_stripe.calls(mark)]
