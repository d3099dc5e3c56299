"""How each system that our steps call answers, from the journal: no call, and no counter of a process."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sagas import registry
from sagas.figures import Outcomes, outcomes_within

LATELY: Final = timedelta(minutes=5)

ANSWERED: Final = ("done", "rejected")
"""A rejection is an answer: the system works."""

IN_FLIGHT: Final = "started"


@dataclass(frozen=True, slots=True)
class SystemHealth:
    """The attempts of the last five minutes at steps that call one system."""

    system: str
    outcomes: dict[str, int]  # attempts by outcome; those in flight are "started"
    last_answer_at: datetime | None  # when the latest answered attempt started

    @property
    def attempts(self) -> int:
        """Those that have ended."""
        return sum(count for outcome, count in self.outcomes.items() if outcome != IN_FLIGHT)

    @property
    def answered_share(self) -> float | None:
        """From 0 to 1; None without attempts."""
        if not self.attempts:
            return None
        return sum(self.outcomes.get(outcome, 0) for outcome in ANSWERED) / self.attempts


def system_health() -> list[SystemHealth]:
    """Return how each system that a registered saga calls has answered lately, by name."""
    counted: dict[str, list[Outcomes]] = {system: [] for system in registry.systems()}
    for outcomes in outcomes_within(LATELY):
        if system := registry.system_called(outcomes.name):
            counted[system].append(outcomes)
    return [_health(system, outcomes) for system, outcomes in counted.items()]


def _health(system: str, counted: list[Outcomes]) -> SystemHealth:
    attempts: dict[str, int] = {}
    for outcomes in counted:
        attempts[outcomes.outcome] = attempts.get(outcomes.outcome, 0) + outcomes.attempts
    answers = [outcomes.last_at for outcomes in counted if outcomes.outcome in ANSWERED]
    return SystemHealth(system, attempts, max(answers, default=None))
