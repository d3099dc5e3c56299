"""The cost of a call in processor seconds of this thread, which a busy machine does not change."""

import time
from collections.abc import Callable

ATTEMPTS = 5
NOISE_SECONDS = 0.001


def cpu_seconds(call: Callable[[], object]) -> float:
    began = time.thread_time()
    call()
    return time.thread_time() - began


def is_linear(cost_of: Callable[[str], object], text: Callable[[int], str], size: int) -> bool:
    """Return whether four times the text costs less than ten times as much.

    A quadratic cost would grow sixteenfold. The best of some attempts counts, because other
    processes disturb the caches.
    """
    short, long = text(size), text(4 * size)
    for _ in range(ATTEMPTS):
        least = max(cpu_seconds(lambda: cost_of(short)), NOISE_SECONDS)
        if cpu_seconds(lambda: cost_of(long)) < 10 * least:
            return True
    return False
