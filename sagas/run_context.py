"""One run within a phase: its row, its step, and what this worker may do with it."""

from dataclasses import dataclass, field

from sagas.batch import Output, Rejection, RunView
from sagas.definition import Step
from sagas.messages import CallResult, Claim
from sagas.models import SagaRun, StepAttempt


@dataclass(eq=False)
class RunContext:
    """A locked run while a phase works on it."""

    run: SagaRun
    step: Step | None  # of a run that goes forward; None after the last step
    result: CallResult | None = None
    output: Output = field(default_factory=dict)  # of the call that this phase settles
    may_write: bool = False  # it goes in this link's direction, and no other worker has its lease
    has_changed: bool = False
    pending: dict[Step, StepAttempt | None] = field(default_factory=dict)
    claim: Claim | None = None

    def view(self) -> RunView:
        run = self.run
        reason = Rejection(run.reason, run.reason_detail) if run.reason else None
        return RunView(run.pk, run.subject_id, run.correlation_id, reason, run.actor, self.output)

    def go_to(self, step: Step | None) -> None:
        """Move the run to ``step`` and reset its counters.

        With None it ends or compensates, and is no longer paused.
        """
        if step is None:
            self.run.paused_at = None
            self.run.pause_reason = ""
        self.step = step
        self.run.step = step.name if step else ""
        self.run.attempt_count = 0
        self.run.retry_count = 0
        self.run.not_before = None
        self.made_progress()

    def made_progress(self) -> None:
        self.run.redispatch_count = 0
        self.has_changed = True
        if self.run.paused_at is None:
            self.run.needs_attention = False
            self.run.attention_reason = ""

    def exclude_from_retry_limit(self) -> None:
        """Take back the count of the last attempt, which failed with an undeclared error."""
        self.run.retry_count = max(self.run.retry_count - 1, 0)

    def flag(self, reason: str) -> None:
        self.run.needs_attention = True
        if self.run.paused_at is None:
            self.run.attention_reason = reason
