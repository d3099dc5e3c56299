"""Checks the application against the Stripe sandbox's ledger file."""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from sandbox.procfile import ROOT
from sandbox.stripe_api.currencies import to_minor_units

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
"""The application's payment status for each status of Stripe's PaymentIntents."""


def check_invariants(
    environment: Mapping[str, str], ledger: Path | None, *, capture: bool, must_rest: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run the application's check_invariants against the ledger; without a ledger, against Stripe.

    First it waits up to REST_SECONDS until no order is under way, because a moving order differs
    between database and ledger. With ``must_rest`` an order that is still under way is reported, also
    one that waits; otherwise only if it is late.
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
    if must_rest:
        command += ["--at-rest"]
    if must_rest or rested.returncode == 0:
        command += ["--grace", "0"]
    if ledger is None:
        return manage(command, stdin=subprocess.DEVNULL)
    entries = json.dumps(statement(ledger, environment["INSTALLATION_ID"]))
    return manage([*command, "--statement", "-"], input=entries)


def statement(ledger: Path, installation_id: str) -> list[dict[str, Any]]:
    """Return the amounts of each PaymentIntent whose metadata names ``installation_id``.

    Amounts are in minor units, as check_invariants expects them, not in Stripe's units.
    """
    newest: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    with ledger.open() as lines:
        for line in lines:
            if line.endswith("\n"):  # else a crash cut it off, and its call got no response
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
            "held_minor": to_minor_units(intent["amount_capturable"], intent["currency"]),
            "captured_minor": to_minor_units(intent["amount_received"], intent["currency"]),
            "refunded_minor": to_minor_units(refunded[intent["id"]], intent["currency"]),
        }
        for intent in newest["payment_intent"].values()
        if intent["metadata"].get("installation_id") == installation_id
    ]
