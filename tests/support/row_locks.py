"""Waiting for others to wait: how a test knows that a lock of its own keeps somebody away."""

import threading
import time
from typing import Final

from django.db import connection

PATIENCE_SECONDS: Final = 60.0

_BLOCKED: Final = """
    SELECT count(*) FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))
"""


def wait_until_somebody_waits_for_us() -> None:
    """Return once another session waits for a lock that this thread's transaction holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause = threading.Event()
    with connection.cursor() as cursor:
        while not cursor.execute(_BLOCKED).fetchone()[0]:
            assert time.monotonic() < deadline, "nobody waits for us"
            pause.wait(0.005)
