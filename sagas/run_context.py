"""One run within a phase: its row, its state, and what this worker may do with it."""

from dataclasses import dataclass, field
from typing import Final

from sagas.batch import Output, Rejection, RunView
from sagas.messages import CallResult, Claim
from sagas.models import RunStatus, SagaRun
from sagas.run_state import RunState

_NAMED_OTHERWISE: Final = {
    "status",
    "nudge_count",
    "is_compensation_requested",
    "is_paused",
    "compensations",
}
COLUMNS: Final = tuple(name for name in RunState._fields if name not in _NAMED_OTHERWISE)
"""The columns of a run that its state has under the same names, and that a phase writes back."""


def state_of(run: SagaRun) -> RunState:
    """Return what decides about ``run``, without its compensations."""
    return RunState(
        status=RunStatus(run.status),
        nudge_count=run.nudge_count,
        is_compensation_requested=run.compensation_requested_at is not None,
        is_paused=run.paused_at is not None,
        **{name: getattr(run, name) for name in COLUMNS},
    )


@dataclass(eq=False)
class RunContext:
    """A locked run while a phase works on it."""

    run: SagaRun
    state: RunState
    result: CallResult | None = None
    output: Output = field(default_factory=dict)  # of the call that this phase settles
    may_write: bool = False  # it goes in this link's direction, and no other worker has its lease
    has_changed: bool = False
    claim: Claim | None = None

    def change(self, state: RunState) -> None:
        self.state = state
        self.has_changed = True

    def view(self) -> RunView:
        """Return the run as steps and hooks see it."""
        run, state = self.run, self.state
        reason = Rejection(state.reason, state.reason_detail) if state.reason else None
        return RunView(
            run.pk, run.subject_id, run.correlation_id, reason, run.actor, self.output, run.input
        )

    def copy_to_run(self) -> None:
        """Copy the state into the row, which the phase writes."""
        self.run.status = self.state.status
        if not self.state.is_paused:
            self.run.paused_at = None
            self.run.pause_reason = ""
        for name in COLUMNS:
            setattr(self.run, name, getattr(self.state, name))
