"""What a worker and a phase hand to each other: work items and results, and the next action."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from sagas.batch import Output, RunView
from sagas.definition import Step
from sagas.errors import DefinitionError
from sagas.models import Direction, Outcome, StepAttempt
from sagas.work import Remote


@dataclass(frozen=True, slots=True)
class Claim:
    """The worker holds the run until the lease runs out, and must make the call."""

    run: RunView
    step: Step
    work: Remote
    attempt: StepAttempt
    fence: int
    waiting_until: datetime | None  # the deadline of the wait that the call looks at
    is_overdue: bool  # that deadline has passed

    @property
    def log_fields(self) -> dict[str, object]:
        """The fields of its log lines; see ``sagas.log_context``."""
        is_compensating = self.attempt.direction == Direction.COMPENSATING
        return {
            "run_id": self.run.run_id,
            "subject_id": self.run.subject_id,
            "correlation_id": self.run.correlation_id,
            "step": self.step.compensation_name if is_compensating else self.step.name,
            "attempt": self.attempt.number,
        }


@dataclass(frozen=True, slots=True)
class Continue:
    """This link is done; the next link of the chain may start."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing to do for this message: stale, duplicate, or the run compensates or has ended."""


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Nothing to do until ``after`` has passed."""

    after: timedelta


NextAction = Claim | Continue | Stop | RetryAfter


@dataclass(frozen=True, slots=True)
class CallResult:
    """The result of the call of one claim."""

    claim: Claim
    outcome: Outcome
    output: Output = field(default_factory=dict)
    error: str = ""
    detail: str = ""
    until: datetime | None = None  # the deadline that a pending call brings along

    def as_declared(self) -> "CallResult":
        """Return self, or a failed result for a rejection with a code that the step does not declare."""
        if self.outcome != Outcome.REJECTED or self.error in self.claim.work.rejections:
            return self
        return replace(
            self,
            outcome=Outcome.FAILED,
            error=DefinitionError.__name__,
            detail=f"{self.claim.step.name} does not declare {self.error}: {self.detail}",
        )

    def copy_to_attempt(self) -> StepAttempt:
        """Copy the result into the claim's attempt, which the caller writes, and return that."""
        attempt = self.claim.attempt
        attempt.outcome = self.outcome
        attempt.output = self.output
        attempt.error = self.error
        attempt.detail = self.detail
        return attempt


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A run that a worker takes to a phase: from a message, or with the result of a call."""

    run_id: UUID
    result: CallResult | None = None

    @property
    def log_fields(self) -> dict[str, object]:
        """The fields of its log lines; see ``sagas.log_context``."""
        return self.result.claim.log_fields if self.result else {"run_id": self.run_id}
