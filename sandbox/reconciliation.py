"""The bank's statement, from the sandbox's own ledger file and from nothing else."""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from sandbox.procfile import ROOT

REST_SECONDS: Final = 60

STATUSES: Final = {
    "requires_payment_method": "declined",
    "requires_confirmation": "created",
    "requires_action": "requires_action",
    "processing": "processing",
    "requires_capture": "authorized",
    "succeeded": "captured",
    "canceled": "cancelled",
}
"""Stripe's status of an intent as the application calls it."""


def check_invariants(
    environment: Mapping[str, str], ledger: Path | None, *, capture: bool, must_rest: bool = True
) -> subprocess.CompletedProcess[str]:
    """Have the application check its books against the statement; without a ledger, the bank.

    Orders that are under way first get a minute to come to rest, so that the books and the
    statement are of the same moment. One that is under way still is a finding, unless the system
    need not rest: then it is one only if it is late.
    """
    manage = partial(
        subprocess.run,
        cwd=ROOT,
        env=environment,
        capture_output=capture,
        text=True,
        check=False,
    )
    rested = manage([sys.executable, "manage.py", "sagas", "rest", "--seconds", str(REST_SECONDS)])
    command = [sys.executable, "manage.py", "check_invariants", "--full"]
    if must_rest or rested.returncode == 0:
        command += ["--at-rest", "--grace", "0"]
    if ledger is None:
        return manage(command, stdin=subprocess.DEVNULL)
    own = json.dumps(statement(ledger, environment["INSTALLATION_ID"]))
    return manage([*command, "--statement", "-"], input=own)


def statement(ledger: Path, installation_id: str) -> list[dict[str, Any]]:
    """Return what is held, captured and refunded for each intent that carries ``installation_id``."""
    newest: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    with ledger.open() as lines:
        for line in lines:
            if line.endswith("\n"):  # else torn by a crash, and never answered
                for kind, version in json.loads(line).get("changes", ()):
                    newest[kind][version["id"]] = version
    refunded: dict[str, int] = defaultdict(int)
    for refund in newest["refund"].values():
        if refund["status"] == "succeeded":
            refunded[refund["payment_intent"]] += refund["amount"]
    return [
        {
            "provider": "stripe",
            "provider_payment_id": intent["id"],
            "order_id": intent["metadata"].get("order_id", ""),
            "status": STATUSES[intent["status"]],
            "currency": intent["currency"],
            "held_minor": intent["amount_capturable"],
            "captured_minor": intent["amount_received"],
            "refunded_minor": refunded[intent["id"]],
        }
        for intent in newest["payment_intent"].values()
        if intent["metadata"].get("installation_id") == installation_id
    ]
