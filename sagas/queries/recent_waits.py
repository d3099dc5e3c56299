"""The counts of waiting runs, read at most once a minute by each process.

Counting them reads the index of all of them, which may be many. Pages and metrics that are read every
few seconds take the counts from here.
"""

import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sagas.queries.counts import WaitingRuns, waiting_runs

CACHE_TIME: Final = timedelta(minutes=1)


class RecentWaits:
    """Counts the waiting runs, and returns the same counts for CACHE_TIME. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted: Sequence[WaitingRuns] = ()
        self._counted_at = float("-inf")

    def read(self) -> Sequence[WaitingRuns]:
        """Return the counts. An error of the database is raised, and leaves the cache as it was."""
        with self._lock:
            if time.monotonic() - self._counted_at >= CACHE_TIME.total_seconds():
                self._counted = waiting_runs()
                self._counted_at = time.monotonic()
            return self._counted

    def forget(self) -> None:
        """Have the next ``read`` count again."""
        with self._lock:
            self._counted_at = float("-inf")


recent_waits: Final = RecentWaits()
"""The counts that this process shares."""
