"""What passes between a worker and a phase: who comes with what, and what it is to do next."""

from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from sagas.definition import Output, Remote, Step
from sagas.models import Direction, Outcome, StepAttempt


@dataclass(frozen=True, slots=True)
class Claim:
    """The run is this worker's until the lease runs out: make the call."""

    run_id: UUID
    subject_id: UUID
    correlation_id: UUID
    step: Step
    work: Remote
    fence: int
    number: int
    record: StepAttempt

    @property
    def names(self) -> dict[str, object]:
        """What lines about it name; see ``sagas.log_context``."""
        is_back = self.record.direction == Direction.COMPENSATING
        return {
            "run_id": self.run_id,
            "subject_id": self.subject_id,
            "correlation_id": self.correlation_id,
            "step": self.step.compensation_name if is_back else self.step.name,
            "attempt": self.number,
        }


@dataclass(frozen=True, slots=True)
class Continue:
    """This link is done; the next one of the chain may begin."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing here for this message: stale, doubled, turned back or ended."""


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Nothing to do before ``after`` has passed."""

    after: timedelta


NextAction = Claim | Continue | Stop | RetryAfter


@dataclass(frozen=True, slots=True)
class CallResult:
    """What came of the call of one claim."""

    claim: Claim
    outcome: Outcome
    output: Output = field(default_factory=dict)
    error: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A worker that comes for a run: with a message only, or back from a call."""

    run_id: UUID
    result: CallResult | None = None

    @property
    def names(self) -> dict[str, object]:
        """What lines about it name; see ``sagas.log_context``."""
        return self.result.claim.names if self.result else {"run_id": self.run_id}
