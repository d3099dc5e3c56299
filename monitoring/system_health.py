"""How each system that our steps call answers, from the journal, without calling it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sagas.queries.counts import OutcomeCount, outcomes_within
from sagas.queries.definitions import system_called, systems

WINDOW: Final = timedelta(minutes=5)

ANSWERED: Final = ("done", "rejected", "pending", "failed")
"""Outcomes with an answer, also a rejection, "later", and an error such as a refused key. The alert
HoldfastSystemUnanswered counts the same."""

IN_FLIGHT: Final = "started"


@dataclass(frozen=True, slots=True)
class SystemHealth:
    """The attempts of the last five minutes at steps that call one system."""

    system: str
    outcomes: dict[str, int]  # attempts by outcome; those in flight are "started"
    last_answer_at: datetime | None  # when the latest answered attempt started

    @property
    def attempts(self) -> int:
        """The number of ended attempts."""
        return sum(count for outcome, count in self.outcomes.items() if outcome != IN_FLIGHT)

    @property
    def answered_share(self) -> float | None:
        """The share of ended attempts with an answer, from 0 to 1; None without ended attempts."""
        if not self.attempts:
            return None
        return sum(self.outcomes.get(outcome, 0) for outcome in ANSWERED) / self.attempts


def system_health() -> list[SystemHealth]:
    """Return the health of each system that a registered saga calls."""
    counted: dict[str, list[OutcomeCount]] = {system: [] for system in systems()}
    for count in outcomes_within(WINDOW):
        if system := system_called(count.name):
            counted[system].append(count)
    return [_health(system, counts) for system, counts in counted.items()]


def _health(system: str, counts: list[OutcomeCount]) -> SystemHealth:
    attempts: dict[str, int] = {}
    for count in counts:
        attempts[count.outcome] = attempts.get(count.outcome, 0) + count.attempts
    answers = [count.last_at for count in counts if count.outcome in ANSWERED]
    return SystemHealth(system, attempts, max(answers, default=None))
