"""Wait for other threads, processes and sessions, without a fixed pause.

To move the time of orders and runs instead of waiting, see ``clock``.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

PATIENCE_SECONDS: Final = 180.0
"""How long a test waits before it fails: the machine may be busy with other tests."""

_FIRST_PAUSE: Final = 0.005
_LONGEST_PAUSE: Final = 0.05


def wait_until(
    condition: Callable[[], object], what: str = "the condition", seconds: float = PATIENCE_SECONDS
) -> None:
    """Return when ``condition`` is true. Raises an AssertionError that names ``what`` otherwise."""
    deadline = time.monotonic() + seconds
    pause = _FIRST_PAUSE
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        threading.Event().wait(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)
