"""The sandbox bank from outside: faults through its controls, the truth from its ledger file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import urllib3

from sandbox.drive.deadlines import Patience
from sandbox.drive.provider_ledger import BankBook, BankIntent

REACH_SECONDS: Final = 180


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
        self, controls: str, payment_method: str, fault: Fault, patience: Patience, note: str
    ) -> None:
        self._patience = patience
        self._controls = controls
        described = {
            "operation": "payment_intents.confirm",
            "match": {"payment_method": payment_method},
            "fault": fault.kind,
            "latency_ms": fault.latency_ms,
            "times": fault.times,
            "note": note,
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


class Bank:
    """The sandbox that belongs to a run."""

    def __init__(self, url: str, ledger: Path, patience: Patience) -> None:
        self._patience = patience
        self._controls = f"{url}/_sandbox"
        self._book = BankBook(ledger)

    @contextmanager
    def failing(self, payment_method: str, fault: Fault) -> Iterator[Rule]:
        """Have every confirmation of a card meet the fault for a while."""
        rule = self.fail(payment_method, fault, "the drive")
        try:
            yield rule
        finally:
            rule.remove()

    def fail(self, payment_method: str, fault: Fault, note: str) -> Rule:
        """Have confirmations of a card meet the fault from now on; the note is for people."""
        return Rule(self._controls, payment_method, fault, self._patience, note)

    def book(self) -> dict[str, BankIntent]:
        """Return every PaymentIntent as the ledger file has it: the process itself is not asked."""
        return self._book.read()


def _control(method: str, url: str, body: object = None) -> dict[str, Any]:
    answer = urllib3.request(method, url, json=body, timeout=10, retries=False)
    content: dict[str, Any] = answer.json()
    if answer.status != 200:  # noqa: PLR2004
        raise ValueError(f"{method} {url}: {content}")
    return content
