"""Waiting that has an end, and ends at once when the drive is called off."""

import threading
import time
from collections.abc import Iterator


class CalledOff(Exception):
    """Somebody stopped the drive; there is nothing left to wait for."""


class Patience:
    """Shared by everything that waits in one drive. Safe to use from many threads."""

    def __init__(self) -> None:
        self._called_off = threading.Event()

    def call_off(self) -> None:
        self._called_off.set()

    def pause(self, seconds: float) -> None:
        """Wait for a while. Raises CalledOff."""
        if self._called_off.wait(seconds):
            raise CalledOff

    def tries(self, seconds: float, *, pause: float, longest: float) -> Iterator[None]:
        """Yield at once and then ever more slowly, until the time is up. Raises CalledOff."""
        deadline = time.monotonic() + seconds
        while True:
            yield
            if time.monotonic() > deadline:
                return
            self.pause(pause)
            pause = min(pause * 1.5, longest)
