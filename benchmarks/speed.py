"""How fast the machine is right now: a fixed loop, timed beside every measurement."""

import statistics
import threading
import time
from typing import Final

FULL_SPEED_MS: Final = 0.32
"""What the loop takes on the reference machine when nothing slows it down."""

PAUSE_SECONDS: Final = 0.1


def loop_ms() -> float:
    """Return the milliseconds of processor time that the fixed loop takes."""
    began = time.thread_time()
    x = 0
    for i in range(5000):
        x += i * i
    return (time.thread_time() - began) * 1000


class SpeedProbe:
    """Times the loop ten times a second in a thread of its own, from start to stop."""

    def __init__(self) -> None:
        self._samples: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._probe, name="speed-probe", daemon=True)
        self._thread.start()

    def stop(self) -> float:
        """Return how many times slower than full speed the machine was on average."""
        self._over.set()
        self._thread.join()
        return statistics.fmean(self._samples) / FULL_SPEED_MS

    def _probe(self) -> None:
        while True:
            self._samples.append(loop_ms())
            if self._over.wait(PAUSE_SECONDS):
                return
