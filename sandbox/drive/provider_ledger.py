"""The bank's own book, read from its ledger file: the process itself is not asked."""

import json
from collections import defaultdict
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple


class BankIntent(NamedTuple):
    """What the bank's own book says of one PaymentIntent."""

    order_id: str
    held_minor: int  # authorized and not yet taken
    taken_minor: int  # captured, less what went back
    charges: int  # confirmed attempts that the card accepted
    returned_minor: int = 0  # what went back

    @property
    def with_us_minor(self) -> int:
        """Return what is held or taken of the customer's money."""
        return self.held_minor + self.taken_minor


class BankBook:
    """Reads on from where it last stopped, so that it may be asked often. Safe from many threads."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._read_to = 0
        self._lock = Lock()
        self._intents: dict[str, dict[str, Any]] = {}
        self._charges: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self._refunds: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self._entries: dict[str, BankIntent] = {}

    def read(self) -> dict[str, BankIntent]:
        """Return what is known of every PaymentIntent by its id."""
        with self._lock:
            for intent_id in self._read_on():
                if intent_id in self._intents:
                    self._entries[intent_id] = self._entry(intent_id)
            return dict(self._entries)

    def _read_on(self) -> set[str]:
        """Take in what is new, and return whose payments it changed."""
        changed = set()
        with self._ledger.open("rb") as file:
            file.seek(self._read_to)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # on its way in; what has been answered is always complete
                self._read_to += len(line)
                for kind, record in json.loads(line).get("changes", ()):
                    changed.add(self._take(kind, record))
        return changed

    def _take(self, kind: str, record: dict[str, Any]) -> str:
        if kind == "payment_intent":
            self._intents[record["id"]] = record
            return str(record["id"])
        belonging = self._charges if kind == "charge" else self._refunds
        belonging[record["payment_intent"]][record["id"]] = record
        return str(record["payment_intent"])

    def _entry(self, intent_id: str) -> BankIntent:
        intent = self._intents[intent_id]
        refunds = self._refunds[intent_id].values()
        returned = sum(each["amount"] for each in refunds if each["status"] != "failed")
        charges = self._charges[intent_id].values()
        return BankIntent(
            order_id=intent["metadata"].get("order_id", ""),
            held_minor=intent["amount_capturable"],
            taken_minor=intent["amount_received"] - returned,
            charges=sum(each["status"] == "succeeded" for each in charges),
            returned_minor=returned,
        )
