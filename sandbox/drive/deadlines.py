"""Waiting that ends at a deadline, and at once when the drive is stopped."""

import threading
import time
from collections.abc import Iterator


class Stopped(Exception):
    """The drive was stopped while something waited."""


class StopSignal:
    """Shared by everything that waits in one drive. Safe to use from many threads."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Make every wait, present and future, raise Stopped."""
        self._stopped.set()

    def sleep(self, seconds: float) -> None:
        """Wait. Raises Stopped."""
        if self._stopped.wait(seconds):
            raise Stopped

    def attempts(self, seconds: float, *, pause: float, longest: float) -> Iterator[None]:
        """Yield at once, then again after pauses that grow to ``longest``, until the time is up.

        Raises Stopped.
        """
        deadline = time.monotonic() + seconds
        while True:
            yield
            if time.monotonic() > deadline:
                return
            self.sleep(pause)
            pause = min(pause * 1.5, longest)
