"""A service's clock, which tests can move forward: keys, refunds and authorizations depend on it."""

import time


class Clock:
    """Unix seconds that never decrease, even if the machine's clock does, or after a restart.

    Lists rely on it: objects in order of creation are also in order of ``created``.
    """

    def __init__(self) -> None:
        self.advanced_by = 0
        self._latest = 0

    def now(self) -> int:
        self._latest = max(self._latest, int(time.time()) + self.advanced_by)
        return self._latest

    def advance(self, seconds: int) -> None:
        self.advanced_by += seconds

    def resume(self, *, latest: int, advanced_by: int) -> None:
        """Continue from the time at which a ledger ends."""
        self.advanced_by = advanced_by
        self._latest = max(self._latest, latest)
