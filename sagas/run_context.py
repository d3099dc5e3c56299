"""One run within a phase: its row, where it stands, and what this worker may do with it."""

from dataclasses import dataclass, field

from sagas.definition import Rejection, RunView, Step
from sagas.messages import CallResult, Claim
from sagas.models import SagaRun, StepAttempt


@dataclass(eq=False)
class RunContext:
    """A locked run while a phase works on it."""

    run: SagaRun
    step: Step | None  # where a run that goes forward stands; None behind the last step
    result: CallResult | None = None
    is_ours: bool = False  # we came to carry it this way, and no other worker holds it
    has_changed: bool = False
    pending: dict[Step, StepAttempt | None] = field(default_factory=dict)
    claim: Claim | None = None

    def view(self) -> RunView:
        run = self.run
        reason = Rejection(run.reason, run.reason_detail) if run.reason else None
        answer = self.result.output if self.result else {}
        return RunView(run.pk, run.subject_id, run.correlation_id, reason, run.actor, answer)

    def go_to(self, step: Step | None) -> None:
        """Progress: whatever was counted against the run is forgiven.

        With no step ahead it ends, or turns back, and there is nothing left to pause.
        """
        if step is None:
            self.run.paused_at = None
        self.step = step
        self.run.step = step.name if step else ""
        self.run.attempts = 0
        self.run.tries = 0
        self.run.not_before = None
        self.made_progress()

    def made_progress(self) -> None:
        self.run.redispatch_count = 0
        self.has_changed = True
        if self.run.paused_at is None:
            self.run.needs_attention = False
            self.run.attention_reason = ""

    def forgive_try(self) -> None:
        """Not count the last attempt: its error says nothing of the far side's patience or ours."""
        self.run.tries = max(self.run.tries - 1, 0)

    def flag(self, reason: str) -> None:
        self.run.needs_attention = True
        if self.run.paused_at is None:
            self.run.attention_reason = reason
