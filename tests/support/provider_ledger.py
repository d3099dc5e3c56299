"""The bank's own ledger, read as what it is about: which order's money is where."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from payments.provider_reconciliation import ProviderBalance, ProviderReading, database_now
from sandbox.reconciliation import STATUSES


@dataclass
class OrderAtBank:
    """What the bank did for one order. Amounts are in minor units."""

    charges: int = 0
    """How often the card's bank said yes."""
    held_minor: int = 0
    kept_minor: int = 0
    """Taken, and not given back."""
    intents: dict[str, str] = field(default_factory=dict)
    """The state of each intent, by its id."""


def books_of(ledger: Mapping[str, Any]) -> dict[str, OrderAtBank]:
    """Add the ledger up, by the order that the metadata of each intent names."""
    books: dict[str, OrderAtBank] = defaultdict(OrderAtBank)
    orders = {}
    for intent in ledger["payment_intents"]:
        orders[intent["id"]] = books[intent["metadata"]["order_id"]]
        orders[intent["id"]].intents[intent["id"]] = intent["status"]
        orders[intent["id"]].held_minor += intent["amount_capturable"]
        orders[intent["id"]].kept_minor += intent["amount_received"]
    for charge in ledger["charges"]:
        orders[charge["payment_intent"]].charges += charge["status"] == "succeeded"
    for payment_id, minor in _returned(ledger).items():
        orders[payment_id].kept_minor -= minor
    return books


def reading_of(ledger: Mapping[str, Any]) -> ProviderReading:
    """Return the same ledger as a reading, without reading it through our provider."""
    returned = _returned(ledger)
    balances = [
        ProviderBalance(
            provider="stripe",
            provider_payment_id=each["id"],
            order_id=each["metadata"]["order_id"],
            status=STATUSES[each["status"]],
            currency=each["currency"],
            held_minor=each["amount_capturable"],
            captured_minor=each["amount_received"],
            refunded_minor=returned[each["id"]],
        )
        for each in ledger["payment_intents"]
    ]
    return ProviderReading(balances, read_at=database_now())


def _returned(ledger: Mapping[str, Any]) -> dict[str, int]:
    returned: dict[str, int] = defaultdict(int)
    for refund in ledger["refunds"]:
        if refund["status"] == "succeeded":
            returned[refund["payment_intent"]] += refund["amount"]
    return returned
