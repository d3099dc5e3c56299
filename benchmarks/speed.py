"""Measures how fast the machine is right now, by timing a fixed loop beside every measurement."""

import statistics
import threading
import time
from typing import Final

FULL_SPEED_MS: Final = 0.32
"""The time of the loop on the reference machine when nothing slows it down."""

PAUSE_SECONDS: Final = 0.1


def loop_ms() -> float:
    """Return the CPU milliseconds that the fixed loop takes."""
    began = time.thread_time()
    x = 0
    for i in range(5000):
        x += i * i
    return (time.thread_time() - began) * 1000


class SpeedProbe:
    """Times the loop ten times a second in a thread of its own, from start to stop."""

    def __init__(self) -> None:
        self._samples: list[float] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._probe, name="speed-probe", daemon=True)
        self._thread.start()

    def stop(self) -> float:
        """Stop, and return how many times slower than full speed the machine was on average."""
        self._stopped.set()
        self._thread.join()
        return statistics.fmean(self._samples) / FULL_SPEED_MS

    def _probe(self) -> None:
        while True:
            self._samples.append(loop_ms())
            if self._stopped.wait(PAUSE_SECONDS):
                return
