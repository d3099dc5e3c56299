"""The sandbox's own time: it ages keys, refunds and authorizations, and can be moved forward."""

import time


class Clock:
    """Unix seconds that never go back, not even when the machine's clock does or after a restart.

    Listings rely on that: the order of creation is the order of ``created``.
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
        """Go on from where a ledger ends."""
        self.advanced_by = advanced_by
        self._latest = max(self._latest, latest)
