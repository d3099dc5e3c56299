"""Calls of the gateway as the tests make them, each under a key of its own unless one is given."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from outbound.deadline import Deadline
from payments.provider_types import Intent, ProviderRefund
from payments.providers.stripe.gateway import API_VERSION, StripeGateway, intent_params
from sandbox.stripe_process import SandboxServer

gateway = StripeGateway()


def within(seconds: float = 30) -> Deadline:
    return Deadline.after(timedelta(seconds=seconds))


def asking(key: str | None = None) -> dict[str, Any]:
    return {"key": key or uuid4().hex, "api_version": API_VERSION, "deadline": within()}


def params(payment_method: str = "pm_card_visa", amount_minor: int = 1200) -> dict[str, Any]:
    return intent_params(
        amount_minor=amount_minor,
        currency="eur",
        payment_method=payment_method,
        metadata={"order_id": "42"},
    )


def created(payment_method: str = "pm_card_visa") -> Intent:
    return gateway.create_intent(params(payment_method), **asking())


def authorized(payment_method: str = "pm_card_visa") -> Intent:
    return gateway.confirm_intent(created(payment_method).id, **asking())


def captured(payment_method: str = "pm_card_visa") -> Intent:
    intent = authorized(payment_method)
    return gateway.capture_intent(intent.id, amount_minor=1200, **asking())


def refunded(intent: Intent, amount_minor: int = 1200) -> ProviderRefund:
    return gateway.create_refund(
        intent.id, amount_minor=amount_minor, metadata={"refund_id": "7"}, **asking()
    )


def mark(bank: SandboxServer) -> int:
    """The number of the latest call, to look later at those that came after it."""
    return max((call["n"] for call in bank.calls()), default=0)


def calls_since(bank: SandboxServer, mark: int) -> list[tuple[str, int | None]]:
    """Each call's operation and the status it was answered with; None where there was silence."""
    return [(call["operation"], call["status"]) for call in bank.calls(mark)]
