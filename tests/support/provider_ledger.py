"""The sandbox's own ledger of Stripe, added up by order: which order's money is where.

Read from the sandbox and not through our provider, so that a test can compare the two.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from clock.now import now
from payments.provider_reconciliation import ProviderPaymentState, ProviderReading
from sandbox.reconciliation import STATUSES
from sandbox.stripe_process import SandboxServer


@dataclass
class OrderMoney:
    """What the provider did for one order. Amounts are in minor units."""

    charges: int = 0
    """How often the issuer accepted a charge."""
    held_minor: int = 0
    kept_minor: int = 0
    """Captured, and not refunded."""
    intents: dict[str, str] = field(default_factory=dict, compare=False)
    """The state of each intent, by its id."""


NOTHING_MOVED: Final = OrderMoney()


def money_of(sandbox_stripe: SandboxServer, order_id: UUID) -> OrderMoney:
    """Return what the provider did for one order."""
    return money_by_order(sandbox_stripe.ledger()).get(str(order_id), NOTHING_MOVED)


def money_by_order(ledger: Mapping[str, Any]) -> dict[str, OrderMoney]:
    """Add the ledger up by the order that the metadata of each intent names; empty for none."""
    by_order: dict[str, OrderMoney] = defaultdict(OrderMoney)
    by_intent = {}
    for intent in ledger["payment_intents"]:
        money = by_intent[intent["id"]] = by_order[intent["metadata"].get("order_id", "")]
        money.intents[intent["id"]] = intent["status"]
        money.held_minor += intent["amount_capturable"]
        money.kept_minor += intent["amount_received"]
    for charge in ledger["charges"]:
        by_intent[charge["payment_intent"]].charges += charge["status"] == "succeeded"
    for intent_id, minor in _refunded(ledger).items():
        by_intent[intent_id].kept_minor -= minor
    return by_order


def intents_for(ledger: Mapping[str, Any], order_id: UUID) -> list[dict[str, Any]]:
    """Return the PaymentIntents whose metadata names the order."""
    return [
        intent
        for intent in ledger["payment_intents"]
        if intent["metadata"].get("order_id") == str(order_id)
    ]


def reading_of(ledger: Mapping[str, Any]) -> ProviderReading:
    """Return the ledger in the form in which ``payments`` reads a provider."""
    refunded = _refunded(ledger)
    states = [
        ProviderPaymentState(
            provider="stripe",
            provider_payment_id=intent["id"],
            order_id=intent["metadata"]["order_id"],
            status=STATUSES[intent["status"]],
            currency=intent["currency"],
            held_minor=intent["amount_capturable"],
            captured_minor=intent["amount_received"],
            refunded_minor=refunded[intent["id"]],
        )
        for intent in ledger["payment_intents"]
    ]
    return ProviderReading(states, read_at=now())


def _refunded(ledger: Mapping[str, Any]) -> dict[str, int]:
    refunded: dict[str, int] = defaultdict(int)
    for refund in ledger["refunds"]:
        if refund["status"] == "succeeded":
            refunded[refund["payment_intent"]] += refund["amount"]
    return refunded
