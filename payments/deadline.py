"""How long one step may spend on its calls to the bank, all of them together."""

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from payments.errors import DeadlinePassed


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment after which nothing is asked of the bank any more. Clock changes do not move it."""

    monotonic_seconds: float

    @classmethod
    def after(cls, budget: timedelta) -> Self:
        return cls(time.monotonic() + budget.total_seconds())

    def remaining(self) -> float:
        """Seconds that are left, always more than none; raises DeadlinePassed otherwise."""
        seconds = self.monotonic_seconds - time.monotonic()
        if seconds <= 0:
            raise DeadlinePassed("no time left to ask the bank")
        return seconds
