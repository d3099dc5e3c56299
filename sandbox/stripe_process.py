"""The Stripe sandbox as a process of its own, for tests and the proof."""

import json
from pathlib import Path
from typing import Final

from sandbox.service_process import ServiceProcess

KINDS: Final = ("payment_intents", "charges", "refunds")


class SandboxServer(ServiceProcess):
    """One Stripe sandbox with one ledger. Every effect that it responded to survives ``kill``."""

    def __init__(self, directory: Path, *, seed: int = 0) -> None:
        self.ledger_path = directory / "stripe-ledger.jsonl"
        super().__init__("stripe", directory, seed=seed)

    def program(self) -> list[str]:
        return ["sandbox.stripe_api", "--ledger", str(self.ledger_path)]

    def authenticate(self, payment_intent: str, result: str) -> str:
        """End a customer's authentication with ``complete`` or ``fail``; return the intent's status.

        Raises ServiceFailed for an unknown intent, and for one that does not wait.
        """
        ended = self.control("POST", f"authentications/{payment_intent}", {"result": result})
        return str(ended["status"])

    def settle_refund(self, refund: str, result: str) -> str:
        """End a pending refund with ``succeed`` or ``fail``, or let it ``wait``; return its status.

        Raises ServiceFailed for an unknown refund, and for one that is not pending.
        """
        ended = self.control("POST", f"refunds/{refund}", {"result": result})
        return str(ended["status"])

    def records(self) -> list[str]:
        ledger = self.ledger()
        return [f"{kind} {json.dumps(record)}" for kind in KINDS for record in ledger[kind]]
