"""The Stripe sandbox as the drive uses it: adds faults, and reads its payments from the ledger file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import urllib3

from sandbox.drive.deadlines import StopSignal
from sandbox.drive.provider_ledger import LedgerPayment, LedgerReader

HIT_SECONDS: Final = 180


class FaultSpec(NamedTuple):
    """How the confirmation of a card fails; ``times`` None means every time."""

    kind: str
    latency_ms: int = 0
    times: int | None = None


class FaultNotReached(Exception):
    """Too few calls met a fault before the time was up."""


class ActiveFault:
    """A fault that is in force at the sandbox, for one card."""

    def __init__(
        self,
        controls: str,
        payment_method: str,
        fault: FaultSpec,
        stop_signal: StopSignal,
        note: str,
    ) -> None:
        self._stop_signal = stop_signal
        self._controls = controls
        rule = {
            "operation": "payment_intents.confirm",
            "match": {"payment_method": payment_method},
            "fault": fault.kind,
            "latency_ms": fault.latency_ms,
            "times": fault.times,
            "note": note,
        }
        self._id = int(_control("POST", f"{controls}/faults", rule)["id"])

    def wait_for_hits(self, calls: int) -> None:
        """Return once this many calls have met the fault: a worker waits for their responses now.

        Raises FaultNotReached after HIT_SECONDS.
        """
        for _ in self._stop_signal.attempts(HIT_SECONDS, pause=0.05, longest=0.1):
            if self._hits() >= calls:
                return
        raise FaultNotReached

    def release(self) -> None:
        """Continue the calls that the fault holds."""
        _control("POST", f"{self._controls}/release", {"rule": self._id})

    def remove(self) -> None:
        """End the fault."""
        _control("DELETE", f"{self._controls}/faults/{self._id}")

    def _hits(self) -> int:
        rules = _control("GET", f"{self._controls}/faults")["rules"]
        return next(int(rule["hits"]) for rule in rules if rule["id"] == self._id)


class ProviderSandbox:
    """The Stripe sandbox that belongs to a run."""

    def __init__(self, url: str, ledger: Path, stop_signal: StopSignal) -> None:
        self._stop_signal = stop_signal
        self._controls = f"{url}/_sandbox"
        self._ledger = LedgerReader(ledger)

    @contextmanager
    def failing(self, payment_method: str, fault: FaultSpec) -> Iterator[ActiveFault]:
        """Make every confirmation of a card meet the fault until the block ends."""
        active = self.add_fault(payment_method, fault, "the drive")
        try:
            yield active
        finally:
            active.remove()

    def add_fault(self, payment_method: str, fault: FaultSpec, note: str) -> ActiveFault:
        """Make confirmations of a card meet the fault from now on; the page shows the note."""
        return ActiveFault(self._controls, payment_method, fault, self._stop_signal, note)

    def authenticate(self, intent_id: str) -> None:
        """Complete the authentication of a payment, as its customer does on the issuer's page."""
        body = {"result": "complete"}
        _control("POST", f"{self._controls}/authentications/{intent_id}", body)

    def payments(self) -> dict[str, LedgerPayment]:
        """Return every payment by its PaymentIntent's id, read from the ledger file."""
        return self._ledger.read()


def _control(method: str, url: str, body: object = None) -> dict[str, Any]:
    response = urllib3.request(method, url, json=body, timeout=10, retries=False)
    content: dict[str, Any] = response.json()
    if response.status != 200:  # noqa: PLR2004
        raise ValueError(f"{method} {url}: {content}")
    return content
