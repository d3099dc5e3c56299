"""Decides for runs that take their steps, first to last."""

from datetime import datetime
from typing import Final

from sagas.batch import Rejection
from sagas.definition import Saga, Step
from sagas.errors import DefinitionError
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
from sagas.work import Escalate, PendingCall, Proceed, Reject, Remote, Wait, Work


class Forward:
    """Takes a run's steps, first to last."""

    status: Final = RunStatus.RUNNING

    def __init__(self, saga: Saga) -> None:
        self.saga = saga

    # -- what is due -------------------------------------------------------------------------

    def must_compensate(self, state: RunState) -> bool:
        """Return whether a person's request to compensate is to be followed now."""
        return state.status == self.status and state.is_compensation_requested

    def has_finished(self, state: RunState) -> bool:
        """Return whether no step is left."""
        return state.status == self.status and not state.step

    def is_due(self, state: RunState, step: Step, at: datetime) -> bool:
        """Return whether the run, which this worker holds, may attempt ``step`` now."""
        is_here = state.status == self.status and state.step == step.name
        is_free = state.leased_until is None and not state.is_paused
        return is_here and is_free and is_over(state.not_before, at)

    def tries_are_spent(self, state: RunState, step: Step) -> bool:
        """Return whether attempts that were lost have spent the step's retries."""
        work = step.action
        return isinstance(work, Remote) and work.retry.is_spent(state.retry_count)

    # -- attempts ----------------------------------------------------------------------------

    def progress(self, state: RunState, step: Step) -> StepProgress:
        """Return how far the attempts at ``step`` are. The run itself keeps the end of a back-off."""
        return StepProgress(step.name, state.attempt_count, state.tries)

    def attempted(self, state: RunState, step: Step) -> RunState:  # noqa: ARG002
        """Count one more attempt at ``step``."""
        return state._replace(
            attempt_count=state.attempt_count + 1,
            retry_count=state.retry_count + 1,
            tries=state.tries + 1,
        )

    def lost(self, state: RunState, step: Step, moment: Moment) -> RunState:
        """Settle an attempt whose worker did not report before its lease ran out.

        After the first one the next attempt starts at once: most workers are lost in a restart. After
        later ones it waits for the back-off, because the step may kill its workers.
        """
        state = state._replace(leased_until=None)
        if state.tries > 1 and isinstance(step.action, Remote):
            return self._backed_off(state, step, Answer(Outcome.LOST), moment)
        return state

    def settled(self, state: RunState, step: Step, answer: Answer, moment: Moment) -> Settled:
        """Settle an attempt by what its call returned or raised, or what its local work raised."""
        state = state._replace(leased_until=None)
        outcome = answer.outcome
        match outcome:
            case Outcome.DONE:
                return Settled(self.passed(state, step), outcome)
            case Outcome.REJECTED:
                rejection = Rejection(answer.error, answer.detail)
                return Settled(self.compensate(state, rejection), outcome)
            case Outcome.PENDING:
                return self._pending(state, step, answer, moment)
            case Outcome.FAILED:  # a bug, or a matter for a person: it does not count
                state = state._replace(retry_count=max(state.retry_count - 1, 0))
                if isinstance(step.action, Remote) and _only_escalates(step.action, state):
                    state = without_wait(state)
            case _ if self.tries_are_spent(state, step):
                return self.spent(state, step, answer)
        return Settled(self._backed_off(state, step, answer, moment), outcome)

    def spent(self, state: RunState, step: Step, last: Answer) -> Settled:
        """Do what a remote step declares for spent retries."""
        when_spent = as_remote(step.action).when_spent
        if isinstance(when_spent, Proceed):
            return Settled(self.passed(state, step), Outcome.PROCEEDED, when_spent.output)
        rejection = Rejection(step.unanswered_code, last.error)
        return Settled(self.compensate(state, rejection), last.outcome)

    def passed(self, state: RunState, step: Step) -> RunState:
        """Move past ``step``. A run that was requested to compensate stays, and compensates from it."""
        if state.is_compensation_requested:
            return with_progress(without_wait(state))
        following = self.saga.after(step)
        return at_step(state, following.name if following else "")

    def ended(self, state: RunState) -> RunState:
        """Return the state of a run whose last step is done."""
        return at_step(state, "")._replace(status=RunStatus.COMPLETED)

    def compensate(self, state: RunState, rejection: Rejection) -> RunState:
        """Start to compensate. An earlier request is the reason, not ``rejection``.

        Raises DefinitionError where the saga cannot compensate.
        """
        step = self.saga.step(state.step) if state.step else self.saga.steps[-1]
        if not self.saga.can_compensate_at(step):
            raise DefinitionError(
                f"{step.name} rejected {rejection.code} where the run cannot compensate"
            )
        if not state.is_compensation_requested:
            state = state._replace(reason=rejection.code, reason_detail=rejection.detail)
        return at_step(state, "")._replace(status=RunStatus.COMPENSATING)

    def _backed_off(self, state: RunState, step: Step, answer: Answer, moment: Moment) -> RunState:
        delay = retry_of(step.action).delay(state.tries, moment.jitter)
        state = state._replace(not_before=moment.at + delay)
        reason = why_staff_are_called(step.action, step.name, state.tries, answer)
        return flagged(state, reason) if reason else state

    # -- waiting -----------------------------------------------------------------------------

    def began_waiting(
        self, state: RunState, code: str, at: datetime, until: datetime | None, then: str = ""
    ) -> RunState:
        """Start to wait, unless the run waits for the same thing already."""
        state = state._replace(redispatch_count=0, not_before=None)
        if state.waits_for == code:
            return state
        state = state._replace(waiting_then=then, escalations=0)
        return state._replace(waits_for=code, waiting_since=at, waiting_until=until)

    def is_overdue(self, state: RunState, at: datetime) -> bool:
        """Return whether the run still waits after its deadline."""
        return bool(state.waits_for) and is_over(state.waiting_until, at)

    def overdue(self, state: RunState, step: Step, outcome: Outcome, at: datetime) -> Settled:
        """Do what the step declares for a deadline that has passed."""
        wait = _wait(step.action, state.waits_for)
        match wait.overdue:
            case Reject(code):
                return Settled(self.compensate(state, Rejection(code)), outcome)
            case Proceed(output):
                return Settled(self.passed(state, step), Outcome.PROCEEDED, output)
            case Escalate() as policy:
                return Settled(escalated(state, policy, wait.waits_for, at), outcome)

    def _pending(self, state: RunState, step: Step, answer: Answer, moment: Moment) -> Settled:
        """Wait for an answer that comes later: look again by schedule, at the latest at the deadline."""
        pending = as_remote(step.action).pending_by_code[answer.error]
        deadline = answer.until or moment.at + pending.deadline
        state = self.began_waiting(state, answer.error, moment.at, deadline)
        look_at = moment.at + pending.look_again.delay(state.attempt_count, moment.jitter)
        state = with_progress(state)._replace(retry_count=0, tries=0, not_before=look_at)
        if self.is_overdue(state, moment.at):
            return self.overdue(state, step, Outcome.PENDING, moment.at)
        if state.waiting_until is not None:
            state = state._replace(not_before=min(look_at, state.waiting_until))
        return Settled(state, Outcome.PENDING)

    def nudged(self, state: RunState) -> RunState:
        """Look at once where the run waits, if it was nudged since it last looked."""
        if state.nudge_count == state.nudges_seen:
            return state
        state = state._replace(nudges_seen=state.nudge_count, redispatch_count=0)
        return state._replace(not_before=None) if state.waits_for else state

    # -- when it is looked at again ----------------------------------------------------------

    def next_try(self, state: RunState) -> datetime | None:
        """Return when the run's back-off or its wait ends; None if it has none."""
        if state.not_before is None and state.waits_for:
            return state.waiting_until
        return state.not_before


def _only_escalates(work: Work, state: RunState) -> bool:
    """Return whether a run waits whose deadline only calls staff: a failure calls them anyway."""
    return bool(state.waits_for) and isinstance(_wait(work, state.waits_for).overdue, Escalate)


def _wait(work: Work, code: str) -> Wait | PendingCall:
    return work if isinstance(work, Wait) else as_remote(work).pending_by_code[code]
