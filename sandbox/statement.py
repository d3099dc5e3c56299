"""The bank's statement, from the sandbox's own ledger file and from nothing else.

``python -m sandbox.statement LEDGER [INSTALLATION]`` prints a JSON list for
``manage.py check_accounts --statement -``: what is held, taken and returned for every intent.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any


def statement(ledger: Path, installation_id: str = "") -> list[dict[str, Any]]:
    """Read the last version of every object; only those of ``installation_id`` where it is given."""
    newest: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    with ledger.open() as lines:
        for line in lines:
            if line.endswith("\n"):  # else torn by a crash, and never answered
                for kind, version in json.loads(line).get("changes", ()):
                    newest[kind][version["id"]] = version
    returned: dict[str, int] = defaultdict(int)
    for refund in newest["refund"].values():
        if refund["status"] == "succeeded":
            returned[refund["payment_intent"]] += refund["amount"]
    return [
        {
            "intent_id": intent["id"],
            "order_id": intent["metadata"].get("order_id", ""),
            "currency": intent["currency"],
            "held_minor": intent["amount_capturable"],
            "taken_minor": intent["amount_received"],
            "returned_minor": returned[intent["id"]],
        }
        for intent in newest["payment_intent"].values()
        if installation_id in ("", intent["metadata"].get("installation_id"))
    ]


if __name__ == "__main__":
    print(json.dumps(statement(Path(sys.argv[1]), *sys.argv[2:3])))
