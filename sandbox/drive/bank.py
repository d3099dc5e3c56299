"""The sandbox bank from outside: faults through its controls, the truth from its ledger file."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import urllib3

from sandbox.drive.patience import Patience

REACH_SECONDS: Final = 60


class Fault(NamedTuple):
    """What is to go wrong when a card is confirmed; ``times`` None is every time."""

    kind: str
    latency_ms: int = 0
    times: int | None = None


class NeverReached(Exception):
    """No call came to the bank that a rule waited for."""


class Rule:
    """A fault that is on the bank's menu now, for one card."""

    def __init__(
        self, controls: str, payment_method: str, fault: Fault, patience: Patience
    ) -> None:
        self._patience = patience
        self._controls = controls
        described = {
            "operation": "payment_intents.confirm",
            "match": {"payment_method": payment_method},
            "fault": fault.kind,
            "latency_ms": fault.latency_ms,
            "times": fault.times,
        }
        self._id = int(_control("POST", f"{controls}/faults", described)["id"])

    def wait_until_struck(self, calls: int) -> None:
        """Return once so many calls have met the fault: they are under way in a worker now."""
        for _ in self._patience.tries(REACH_SECONDS, pause=0.05, longest=0.1):
            if self._hits() >= calls:
                return
        raise NeverReached

    def release(self) -> None:
        """Let go of the calls that it holds."""
        _control("POST", f"{self._controls}/release", {"rule": self._id})

    def remove(self) -> None:
        """Take the fault off the menu."""
        _control("DELETE", f"{self._controls}/faults/{self._id}")

    def _hits(self) -> int:
        rules = _control("GET", f"{self._controls}/faults")["rules"]
        return next(int(rule["hits"]) for rule in rules if rule["id"] == self._id)


class BankIntent(NamedTuple):
    """What the bank's own book says of one PaymentIntent."""

    order_id: str
    held_minor: int  # authorized and not yet taken
    taken_minor: int  # captured, less what went back
    charges: int  # confirmed attempts that the card accepted


class Bank:
    """The sandbox that belongs to a run."""

    def __init__(self, url: str, ledger: Path, patience: Patience) -> None:
        self._patience = patience
        self._controls = f"{url}/_sandbox"
        self._ledger = ledger

    @contextmanager
    def failing(self, payment_method: str, fault: Fault) -> Iterator[Rule]:
        """Have every confirmation of a card meet the fault for a while."""
        rule = Rule(self._controls, payment_method, fault, self._patience)
        try:
            yield rule
        finally:
            rule.remove()

    def book(self) -> dict[str, BankIntent]:
        """Read every PaymentIntent from the ledger file: the process itself is not asked."""
        kinds: dict[str, dict[str, dict[str, Any]]] = {
            "payment_intent": {},
            "charge": {},
            "refund": {},
        }
        # The last line may be on its way in; what has been answered is always complete.
        for line in self._ledger.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                for kind, record in json.loads(line).get("changes", ()):
                    kinds[kind][record["id"]] = record
        return {
            intent_id: _entry(intent, list(kinds["charge"].values()), kinds["refund"])
            for intent_id, intent in kinds["payment_intent"].items()
        }


def _entry(
    intent: Mapping[str, Any],
    charges: list[dict[str, Any]],
    refunds: Mapping[str, Mapping[str, Any]],
) -> BankIntent:
    returned = sum(
        refund["amount"]
        for refund in refunds.values()
        if refund["payment_intent"] == intent["id"] and refund["status"] != "failed"
    )
    return BankIntent(
        order_id=intent["metadata"].get("order_id", ""),
        held_minor=intent["amount_capturable"],
        taken_minor=intent["amount_received"] - returned,
        charges=sum(
            charge["payment_intent"] == intent["id"] and charge["status"] == "succeeded"
            for charge in charges
        ),
    )


def _control(method: str, url: str, body: object = None) -> dict[str, Any]:
    answer = urllib3.request(method, url, json=body, timeout=10, retries=False)
    content: dict[str, Any] = answer.json()
    if answer.status != 200:  # noqa: PLR2004
        raise ValueError(f"{method} {url}: {content}")
    return content
