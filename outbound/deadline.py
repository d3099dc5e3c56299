"""The time limit of one step for all its calls to outside services together."""

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from outbound.errors import DeadlinePassed


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment after which no call starts. Clock changes do not move it."""

    monotonic_seconds: float

    @classmethod
    def after(cls, time_limit: timedelta) -> Self:
        return cls(time.monotonic() + time_limit.total_seconds())

    def remaining(self) -> float:
        """Return the seconds that are left, always more than 0. Raises DeadlinePassed."""
        seconds = self.monotonic_seconds - time.monotonic()
        if seconds <= 0:
            raise DeadlinePassed("no time left for the call")
        return seconds
