"""Sweeps a number of times, and prints how many milliseconds each sweep took; a program of its own."""

import json
import signal
import sys
import time
from threading import Event
from typing import Final

import django

from sandbox.process_lifetime import die_with_owner

PAUSE_SECONDS: Final = 0.05


def main() -> None:
    """Run ``python -m benchmarks.waits.inside.sweeping NUMBER``.

    The time is that of the whole call, a little more than that of its transaction.
    """
    die_with_owner(signal.SIGKILL)
    django.setup()
    from sagas.sweep import sweep  # noqa: PLC0415 - the apps must be loaded

    sweep()  # opens the connection
    taken, pace = [], Event()
    for _ in range(int(sys.argv[1])):
        pace.wait(PAUSE_SECONDS)
        began = time.perf_counter()
        sweep()
        taken.append((time.perf_counter() - began) * 1000)
    print(json.dumps(taken))


if __name__ == "__main__":
    main()
