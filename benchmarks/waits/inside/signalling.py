"""Sends signals at a steady rate, as the application's own code does; a program of its own.

It reads a JSON object from standard input: ``subject_ids`` and ``per_second``. It prints the time
right before each commit, by the machine's clock in seconds, in the same order.
"""

import json
import signal
import sys
import time
from threading import Event
from uuid import UUID

import django
from django.db import transaction

from sandbox.process_lifetime import die_with_owner


def main() -> None:
    """Run ``python -m benchmarks.waits.inside.signalling``."""
    die_with_owner(signal.SIGKILL)
    options = json.load(sys.stdin)
    django.setup()
    from benchmarks.waits.inside.waiting import RING  # noqa: PLC0415 - settings come first
    from sagas.signals import send_signal  # noqa: PLC0415

    committed, pace, began = [], Event(), time.time()
    for number, subject_id in enumerate(options["subject_ids"]):
        pace.wait(max(began + number / options["per_second"] - time.time(), 0))
        with transaction.atomic():
            send_signal(UUID(subject_id), RING.name, {}, key="1", actor="benchmark")
            committed.append(time.time())
    print(json.dumps(committed))


if __name__ == "__main__":
    main()
