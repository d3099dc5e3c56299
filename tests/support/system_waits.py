"""Waiting for a whole system to get somewhere: as long as was promised, and no longer."""

import threading
import time
from collections.abc import Callable

SECONDS = 180.0


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        pause.wait(0.05)
