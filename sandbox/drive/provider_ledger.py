"""The sandbox's payments, read from its ledger file: what the process itself responds is not used."""

import json
from collections import defaultdict
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from sandbox.stripe_api.currencies import to_minor_units


class LedgerPayment(NamedTuple):
    """One PaymentIntent as the ledger has it. Amounts are in minor units, not in Stripe's."""

    order_id: str
    held_minor: int  # authorized and not yet captured
    captured_minor: int  # captured and not refunded
    charges: int  # confirmations that the issuer accepted
    refunded_minor: int = 0

    @property
    def held_or_captured_minor(self) -> int:
        """Return how much of the customer's money is held or captured."""
        return self.held_minor + self.captured_minor


class LedgerReader:
    """Each call of ``read`` continues where the last one stopped. Safe to use from many threads."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._offset = 0
        self._lock = Lock()
        self._intents: dict[str, dict[str, Any]] = {}
        self._charges: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self._refunds: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self._payments: dict[str, LedgerPayment] = {}

    def read(self) -> dict[str, LedgerPayment]:
        """Return every payment by its PaymentIntent's id."""
        with self._lock:
            for intent_id in self._read_new_lines():
                if intent_id in self._intents:
                    self._payments[intent_id] = self._payment(intent_id)
            return dict(self._payments)

    def _read_new_lines(self) -> set[str]:
        """Read what was appended, and return the ids of the PaymentIntents that it changed."""
        changed = set()
        with self._ledger.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # being written; the sandbox responds after the line is complete
                self._offset += len(line)
                for kind, record in json.loads(line).get("changes", ()):
                    changed.add(self._store(kind, record))
        return changed

    def _store(self, kind: str, record: dict[str, Any]) -> str:
        if kind == "payment_intent":
            self._intents[record["id"]] = record
            return str(record["id"])
        records = self._charges if kind == "charge" else self._refunds
        records[record["payment_intent"]][record["id"]] = record
        return str(record["payment_intent"])

    def _payment(self, intent_id: str) -> LedgerPayment:
        intent = self._intents[intent_id]
        currency = intent["currency"]
        refunds = self._refunds[intent_id].values()
        refunded = sum(refund["amount"] for refund in refunds if refund["status"] != "failed")
        charges = self._charges[intent_id].values()
        return LedgerPayment(
            order_id=intent["metadata"].get("order_id", ""),
            held_minor=to_minor_units(intent["amount_capturable"], currency),
            captured_minor=to_minor_units(intent["amount_received"] - refunded, currency),
            charges=sum(charge["status"] == "succeeded" for charge in charges),
            refunded_minor=to_minor_units(refunded, currency),
        )
