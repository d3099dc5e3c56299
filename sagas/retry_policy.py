"""How long to wait before the next attempt, and how many attempts there are."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential back-off with equal jitter: half of the delay is fixed, half is random.

    See Brooker, *Exponential Backoff And Jitter* (AWS, 2015). Unlike full jitter, equal jitter never
    retries at once. ``max_attempts`` counts all attempts, the first included; None is no limit.
    """

    initial_delay: timedelta = timedelta(seconds=1)
    max_delay: timedelta = timedelta(seconds=60)
    max_attempts: int | None = None

    def delay(self, attempts: int, jitter: float) -> timedelta:
        """Return how long to wait after this number of attempts (1 or more); ``jitter`` is 0 to 1."""
        factor = 2 ** min(attempts - 1, 62)
        # Compared as a ratio: the product may be more than a timedelta holds.
        whole = (
            self.max_delay
            if factor > self.max_delay / self.initial_delay
            else self.initial_delay * factor
        )
        return min(whole / 2 + whole / 2 * jitter, whole)  # a sum of halves may be rounded up

    def is_spent(self, attempts: int) -> bool:
        """Return whether this number of attempts reaches the limit."""
        return self.max_attempts is not None and attempts >= self.max_attempts
