"""How the bank answers, by the journal: no call of our own, and no counter that a restart forgets."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sagas.figures import outcomes_within

LATELY: Final = timedelta(minutes=5)

ANSWERED: Final = ("done", "rejected")
"""A decline is an answer: the bank is well."""

IN_FLIGHT: Final = "started"


@dataclass(frozen=True, slots=True)
class ProviderHealth:
    """What came of the steps that asked the bank and began in the last five minutes."""

    outcomes: dict[str, int]  # by outcome; those whose answer is awaited are "started"
    last_answer_at: datetime | None  # when the latest that was answered had begun

    @property
    def attempts(self) -> int:
        """Those that have ended."""
        return sum(count for outcome, count in self.outcomes.items() if outcome != IN_FLIGHT)

    @property
    def answered_share(self) -> float | None:
        """From 0 to 1; None where nothing was asked lately."""
        if not self.attempts:
            return None
        return sum(self.outcomes.get(each, 0) for each in ANSWERED) / self.attempts


def provider_health() -> ProviderHealth:
    """Return how the bank has answered lately."""
    outcomes: dict[str, int] = {}
    answers: list[datetime] = []
    for each in outcomes_within(LATELY):
        if each.is_remote:
            outcomes[each.outcome] = outcomes.get(each.outcome, 0) + each.attempts
            if each.outcome in ANSWERED:
                answers.append(each.last_at)
    return ProviderHealth(outcomes, max(answers, default=None))
