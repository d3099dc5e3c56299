"""Decides for runs that compensate their steps, last to first."""

from datetime import datetime
from typing import Final

from sagas.definition import Saga, Step
from sagas.models import Outcome, RunStatus
from sagas.run_state import (
    Answer,
    Moment,
    RunState,
    Settled,
    StepProgress,
    as_remote,
    at_step,
    escalated,
    flagged,
    is_over,
    retry_of,
    why_staff_are_called,
    with_progress,
    without_wait,
)
from sagas.work import Escalate, Remote


class Compensating:
    """Compensates a run's steps, last to first. None of them waits until another one succeeds."""

    status: Final = RunStatus.COMPENSATING

    def __init__(self, saga: Saga) -> None:
        self.saga = saga

    # -- what is due -------------------------------------------------------------------------

    def has_finished(self, state: RunState) -> bool:
        """Return whether nothing is left to compensate."""
        return state.status == self.status and not state.compensations

    def is_due(self, state: RunState, step: Step, at: datetime) -> bool:
        """Return whether the run, which this worker holds, may compensate ``step`` now."""
        is_left = any(pending.step == step.name for pending in state.compensations)
        is_free = state.status == self.status and state.leased_until is None
        return is_left and is_free and is_over(self.progress(state, step).not_before, at)

    # -- attempts ----------------------------------------------------------------------------

    def progress(self, state: RunState, step: Step) -> StepProgress:
        """Return how far the attempts at compensating ``step`` are."""
        known = (pending for pending in state.compensations if pending.step == step.name)
        return next(known, StepProgress(step.name))

    def attempted(self, state: RunState, step: Step) -> RunState:
        """Count one more attempt at compensating ``step``."""
        before = self.progress(state, step)
        return _changed(state, step, number=before.number + 1, tries=before.tries + 1)

    def lost(self, state: RunState, step: Step, moment: Moment) -> RunState:
        """Settle an attempt whose worker did not report; see ``Forward.lost``."""
        state = state._replace(leased_until=None)
        if self.progress(state, step).tries > 1 and isinstance(step.compensating_action, Remote):
            return self._backed_off(state, step, Answer(Outcome.LOST), moment)
        return state

    def settled(self, state: RunState, step: Step, answer: Answer, moment: Moment) -> Settled:
        """Settle an attempt by what its call returned or raised, or what its local work raised."""
        state = state._replace(leased_until=None)
        match answer.outcome:
            case Outcome.DONE:
                state = self.passed(state, step)
            case Outcome.PENDING:
                state = self._pending(state, step, answer, moment)
            case Outcome.FAILED:  # a bug, or a matter for a person: no answer comes later
                state = _without_wait(self._backed_off(state, step, answer, moment), step)
            case _:
                state = self._backed_off(state, step, answer, moment)
        return Settled(state, answer.outcome)

    def passed(self, state: RunState, step: Step) -> RunState:
        """Strike ``step`` off what is left to compensate."""
        state = _without_wait(state, step)
        left = tuple(pending for pending in state.compensations if pending.step != step.name)
        return with_progress(state._replace(compensations=left))

    def ended(self, state: RunState) -> RunState:
        """Return the state of a run that is compensated."""
        return at_step(state, "")._replace(status=RunStatus.COMPENSATED)

    def _backed_off(self, state: RunState, step: Step, answer: Answer, moment: Moment) -> RunState:
        tries, work = self.progress(state, step).tries, step.compensating_action
        delay = retry_of(work).delay(tries, moment.jitter)
        state = _changed(state, step, not_before=moment.at + delay)
        reason = why_staff_are_called(work, step.compensation_name, tries, answer)
        return flagged(state, reason) if reason else state

    def _pending(self, state: RunState, step: Step, answer: Answer, moment: Moment) -> RunState:
        """Wait for an answer that comes later: look again by schedule, at the latest at the deadline.

        Past its deadline the run is flagged for staff, and waits longer.
        """
        pending = as_remote(step.compensating_action).pending_by_code[answer.error]
        if state.waits_for != answer.error:
            since = self.progress(state, step).first_at or moment.at
            until = answer.until or since + pending.deadline
            state = state._replace(waits_for=answer.error, escalations=0)
            state = state._replace(waiting_since=since, waiting_until=until)
        if is_over(state.waiting_until, moment.at) and isinstance(pending.overdue, Escalate):
            state = escalated(state, pending.overdue, pending.waits_for, moment.at)
        state = with_progress(state)
        number = self.progress(state, step).number
        look_at = moment.at + pending.look_again.delay(number, moment.jitter)
        if state.waiting_until is not None:
            look_at = min(look_at, state.waiting_until)
        return _changed(state, step, not_before=look_at, waits_for=answer.error, tries=0)

    # -- waiting -----------------------------------------------------------------------------

    def nudged(self, state: RunState) -> RunState:
        """Look at once at what it waits for, if the run was nudged since it last looked."""
        if state.nudge_count == state.nudges_seen:
            return state
        return _looking(state._replace(nudges_seen=state.nudge_count, redispatch_count=0))

    # -- when it is looked at again ----------------------------------------------------------

    def next_try(self, state: RunState) -> datetime | None:
        """Return when the first back-off ends; None if something can be attempted now."""
        ends = [pending.not_before for pending in state.compensations]
        known = [end for end in ends if end is not None]
        return min(known) if known and len(known) == len(ends) else None


def _without_wait(state: RunState, step: Step) -> RunState:
    """End the wait of ``step``. Other compensations that wait look at once: theirs may be over, too."""
    work = step.compensating_action
    others = [pending for pending in state.compensations if pending.step != step.name]
    if not any(pending.waits_for for pending in others):
        return without_wait(state)
    if not (isinstance(work, Remote) and state.waits_for in work.pending_by_code):
        return state
    return _looking(state, but=step.name)


def _looking(state: RunState, but: str = "") -> RunState:
    """Make each compensation that waits look at once, except that of ``but``."""
    return state._replace(
        compensations=tuple(
            pending._replace(not_before=None)
            if pending.waits_for and pending.step != but
            else pending
            for pending in state.compensations
        )
    )


def _changed(state: RunState, step: Step, **values: object) -> RunState:
    """Return ``state`` with other values for one compensation."""
    return state._replace(
        compensations=tuple(
            pending._replace(**values) if pending.step == step.name else pending  # type: ignore[arg-type]
            for pending in state.compensations
        )
    )
