"""What a run does next: pure functions of its state and of what has happened.

A phase (``sagas/phase.py``) reads the state under the run's lock, calls these functions, and writes
what they return. The model checker (``proof/protocol``) calls the same functions. None of them reads
a clock or the database.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sagas.batch import Output, Rejection
from sagas.definition import Escalate, Local, Proceed, Reject, Remote, Saga, Step, Wait, Work
from sagas.errors import DefinitionError
from sagas.models import LIVE, MESSAGE_GRACE, Outcome, RunStatus
from sagas.retry_policy import RetryPolicy

ATTENTION_AFTER_TRIES: Final = 8
"""After this many attempts without an answer the run is flagged: one or two minutes of back-off."""

LOCAL_RETRY: Final = RetryPolicy()
"""How a local step is retried after it raised."""

RETRY_MESSAGE_LEAD: Final = timedelta(seconds=2)
"""A retry's own message arrives this long before the sweep looks, so that the sweep sends no second one."""


class PendingCompensation(NamedTuple):
    """A step that must still be compensated, and what its last attempt left behind."""

    step: str
    number: int = 0
    tries: int = 0
    not_before: datetime | None = None
    waits_for: str = ""
    first_at: datetime | None = None  # when its first attempt started


class Moment(NamedTuple):
    """When a phase decides, by the database's clock, and its random number below 1."""

    at: datetime
    jitter: float


class Answer(NamedTuple):
    """How an attempt ended, before the step's definition decides what that means."""

    outcome: Outcome
    error: str = ""
    detail: str = ""
    until: datetime | None = None  # the deadline that a pending call brings along


class StepHistory(NamedTuple):
    """The last attempt at a step, and at its compensation, as the journal has them."""

    outcome: str
    compensation_outcome: str = ""  # empty without an attempt
    error: str = ""  # of the last attempt at the compensation, as all that follows
    number: int = 0
    tries: int = 0
    not_before: datetime | None = None
    first_at: datetime | None = None


class RunState(NamedTuple):
    """What decides what a run does next. The fields are those of ``SagaRun``."""

    status: RunStatus = RunStatus.RUNNING
    step: str = ""
    attempt_count: int = 0
    retry_count: int = 0
    tries: int = 0
    leased_until: datetime | None = None
    not_before: datetime | None = None
    nudge_count: int = 0
    nudges_seen: int = 0
    waits_for: str = ""
    waiting_since: datetime | None = None
    waiting_until: datetime | None = None
    is_compensation_requested: bool = False
    is_paused: bool = False
    redispatch_count: int = 0
    needs_attention: bool = False
    attention_reason: str = ""
    reason: str = ""
    reason_detail: str = ""
    compensations: tuple[PendingCompensation, ...] = ()  # last step first; loaded when it compensates

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    def is_leased(self, at: datetime) -> bool:
        """Return whether a worker may be in the middle of a call."""
        return self.leased_until is not None and self.leased_until > at


class Settled(NamedTuple):
    """A run after an attempt: what the journal says of it, and what the run does then."""

    state: RunState
    outcome: Outcome
    output: Output | None = None  # to use instead of the call's own

    @property
    def has_passed(self) -> bool:
        """Whether the step has a result, which it records."""
        return self.outcome in (Outcome.DONE, Outcome.PROCEEDED)


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
        return is_here and is_free and _is_over(state.not_before, at)

    def tries_are_spent(self, state: RunState, step: Step) -> bool:
        """Return whether attempts that were lost have spent the step's retries."""
        work = step.action
        return isinstance(work, Remote) and work.retry.is_spent(state.retry_count)

    # -- attempts ----------------------------------------------------------------------------

    def number(self, state: RunState, step: Step) -> int:  # noqa: ARG002 - as for Compensating
        """Return the number of the last attempt at ``step``."""
        return state.attempt_count

    def tries(self, state: RunState, step: Step) -> int:  # noqa: ARG002 - as for Compensating
        """Return how many attempts at ``step`` there were since its system has last answered."""
        return state.tries

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
            case _ if self.tries_are_spent(state, step):
                return self.spent(state, step, answer)
        return Settled(self._backed_off(state, step, answer, moment), outcome)

    def spent(self, state: RunState, step: Step, last: Answer) -> Settled:
        """Do what a remote step declares for spent retries."""
        when_spent = _remote(step.action).when_spent
        if isinstance(when_spent, Proceed):
            return Settled(self.passed(state, step), Outcome.PROCEEDED, when_spent.output)
        rejection = Rejection(step.unanswered_code, last.error)
        return Settled(self.compensate(state, rejection), last.outcome)

    def passed(self, state: RunState, step: Step) -> RunState:
        """Move past ``step``. A run that was requested to compensate stays, and compensates from it."""
        if state.is_compensation_requested:
            return _with_progress(_without_wait(state))
        following = self.saga.after(step)
        return _at_step(state, following.name if following else "")

    def ended(self, state: RunState) -> RunState:
        """Return the state of a run whose last step is done."""
        return _at_step(state, "")._replace(status=RunStatus.COMPLETED)

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
        return _at_step(state, "")._replace(status=RunStatus.COMPENSATING)

    def _backed_off(
        self, state: RunState, step: Step, answer: Answer, moment: Moment
    ) -> RunState:
        retry = retry_of(step.action)
        delay = retry.delay(state.tries, moment.jitter)
        state = state._replace(not_before=moment.at + delay)
        if not _is_stuck(retry, state.tries):
            return state
        return _flagged(state, _stuck_reason(step.name, state.tries, answer))

    # -- waiting -----------------------------------------------------------------------------

    def began_waiting(
        self, state: RunState, code: str, at: datetime, until: datetime | None
    ) -> RunState:
        """Start to wait, unless the run waits for the same thing already."""
        state = state._replace(redispatch_count=0)
        if state.waits_for == code:
            return state
        return state._replace(waits_for=code, waiting_since=at, waiting_until=until)

    def is_overdue(self, state: RunState, at: datetime) -> bool:
        """Return whether the run still waits after its deadline."""
        return bool(state.waits_for) and _is_over(state.waiting_until, at)

    def overdue(self, state: RunState, step: Step, outcome: Outcome, at: datetime) -> Settled:
        """Do what the step declares for a deadline that has passed."""
        policy = _overdue_policy(step.action, state.waits_for)
        match policy:
            case Reject(code):
                return Settled(self.compensate(state, Rejection(code)), outcome)
            case Proceed(output):
                return Settled(self.passed(state, step), Outcome.PROCEEDED, output)
            case Escalate(extend_by):
                state = state._replace(waiting_until=at + extend_by)
                return Settled(_flagged(state, f"{step.name}: waits past its deadline"), outcome)

    def _pending(self, state: RunState, step: Step, answer: Answer, moment: Moment) -> Settled:
        """Wait for an answer that comes later: look again by schedule, at the latest at the deadline."""
        pending = _remote(step.action).pending_by_code[answer.error]
        deadline = answer.until or moment.at + pending.deadline
        state = self.began_waiting(state, answer.error, moment.at, deadline)
        look_at = moment.at + pending.look_again.delay(state.attempt_count, moment.jitter)
        state = _with_progress(state)._replace(retry_count=0, tries=0, not_before=look_at)
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

    def not_before(self, state: RunState, step: Step) -> datetime | None:  # noqa: ARG002
        """Return None: the run itself keeps the end of a back-off."""
        return None

    def next_try(self, state: RunState) -> datetime | None:
        """Return when the run's back-off or its wait ends; None if it has none."""
        if state.not_before is None and state.waits_for:
            return state.waiting_until
        return state.not_before


class Compensating:
    """Compensates a run's steps, last to first. None of them waits until another one succeeds."""

    status: Final = RunStatus.COMPENSATING

    def __init__(self, saga: Saga) -> None:
        self.saga = saga

    # -- what is due -------------------------------------------------------------------------

    def must_compensate(self, state: RunState) -> bool:  # noqa: ARG002 - it does already
        return False

    def has_finished(self, state: RunState) -> bool:
        """Return whether nothing is left to compensate."""
        return state.status == self.status and not state.compensations

    def is_due(self, state: RunState, step: Step, at: datetime) -> bool:
        """Return whether the run, which this worker holds, may compensate ``step`` now."""
        pending = _find(state, step)
        is_free = state.status == self.status and state.leased_until is None
        return is_free and pending is not None and _is_over(pending.not_before, at)

    def tries_are_spent(self, state: RunState, step: Step) -> bool:  # noqa: ARG002
        """Return False: a compensation is retried until it is done."""
        return False

    # -- attempts ----------------------------------------------------------------------------

    def number(self, state: RunState, step: Step) -> int:
        """Return the number of the last attempt at compensating ``step``."""
        pending = _find(state, step)
        return pending.number if pending else 0

    def tries(self, state: RunState, step: Step) -> int:
        """Return how many attempts at it there were since its system has last answered."""
        pending = _find(state, step)
        return pending.tries if pending else 0

    def attempted(self, state: RunState, step: Step) -> RunState:
        """Count one more attempt at compensating ``step``."""
        number, tries = self.number(state, step) + 1, self.tries(state, step) + 1
        return _changed(state, step, number=number, tries=tries)

    def lost(self, state: RunState, step: Step, moment: Moment) -> RunState:
        """Settle an attempt whose worker did not report; see ``Forward.lost``."""
        state = state._replace(leased_until=None)
        if self.tries(state, step) > 1 and isinstance(step.compensating_action, Remote):
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
            case _:
                state = self._backed_off(state, step, answer, moment)
        return Settled(state, answer.outcome)

    def passed(self, state: RunState, step: Step) -> RunState:
        """Strike ``step`` off what is left to compensate."""
        left = tuple(pending for pending in state.compensations if pending.step != step.name)
        if not any(pending.waits_for for pending in left):
            state = _without_wait(state)
        return _with_progress(state._replace(compensations=left))

    def ended(self, state: RunState) -> RunState:
        """Return the state of a run that is compensated."""
        return _at_step(state, "")._replace(status=RunStatus.COMPENSATED)

    def _backed_off(
        self, state: RunState, step: Step, answer: Answer, moment: Moment
    ) -> RunState:
        tries, retry = self.tries(state, step), retry_of(step.compensating_action)
        state = _changed(state, step, not_before=moment.at + retry.delay(tries, moment.jitter))
        if not _is_stuck(retry, tries):
            return state
        return _flagged(state, _stuck_reason(step.compensation_name, tries, answer))

    def _pending(self, state: RunState, step: Step, answer: Answer, moment: Moment) -> RunState:
        """Wait for an answer that comes later. Past its deadline the run is flagged, and looks on."""
        pending = _remote(step.compensating_action).pending_by_code[answer.error]
        known = _find(state, step)
        since = known.first_at if known and known.first_at else moment.at
        delay = pending.look_again.delay(self.number(state, step), moment.jitter)
        state = _changed(
            state, step, not_before=moment.at + delay, waits_for=answer.error, tries=0
        )
        deadline = answer.until or since + pending.deadline
        state = state._replace(
            waits_for=answer.error, waiting_since=since, waiting_until=deadline
        )
        if moment.at >= deadline:
            return _flagged(state, f"{step.compensation_name}: waits past its deadline")
        return state

    # -- waiting -----------------------------------------------------------------------------

    def nudged(self, state: RunState) -> RunState:
        """Look at once at what it waits for, if the run was nudged since it last looked."""
        if state.nudge_count == state.nudges_seen:
            return state
        looked = tuple(
            pending._replace(not_before=None) if pending.waits_for else pending
            for pending in state.compensations
        )
        state = state._replace(nudges_seen=state.nudge_count, redispatch_count=0)
        return state._replace(compensations=looked)

    # -- when it is looked at again ----------------------------------------------------------

    def not_before(self, state: RunState, step: Step) -> datetime | None:
        """Return when ``step`` may be compensated again; None without a back-off."""
        pending = _find(state, step)
        return pending.not_before if pending else None

    def next_try(self, state: RunState) -> datetime | None:
        """Return when the first back-off ends; None if something can be attempted now."""
        ends = [pending.not_before for pending in state.compensations]
        known = [end for end in ends if end is not None]
        return min(known) if known and len(known) == len(ends) else None


Way = Forward | Compensating


def way_of(saga: Saga, *, is_compensating: bool) -> Way:
    """Return what decides for the runs of ``saga`` that go forward, or that compensate."""
    return Compensating(saga) if is_compensating else Forward(saga)


def pending_compensations(
    saga: Saga, history: Mapping[str, StepHistory]
) -> tuple[PendingCompensation, ...]:
    """Return the steps of one run that must still be compensated, last step first.

    ``history`` has the steps that were attempted.
    """
    return tuple(
        PendingCompensation(
            step.name,
            last.number,
            last.tries,
            last.not_before,
            last.error if last.compensation_outcome == Outcome.PENDING else "",
            last.first_at,
        )
        for step in reversed(saga.steps)
        if step.compensating_action is not None
        and (last := history.get(step.name)) is not None
        and last.compensation_outcome != Outcome.DONE
        and _may_have_effect(step, last.outcome)
    )


def _may_have_effect(step: Step, outcome: str) -> bool:
    """Return whether an effect of ``step`` may exist after its last attempt.

    Any attempt at a remote step counts. The result of a started one may have been lost, and a
    declined payment can still be paid until it is cancelled. A wait may have begun.
    """
    return outcome == Outcome.DONE or not isinstance(step.action, Local)


def next_wake_at(way: Way, state: RunState, at: datetime) -> datetime:
    """Return when the sweep looks at the run, unless a worker does before.

    After its lease, after its back-off, or at the deadline of its wait.
    """
    if state.leased_until is not None:
        return state.leased_until
    next_try = way.next_try(state)
    if next_try is None:
        return at + MESSAGE_GRACE
    return next_try if state.waits_for else next_try + RETRY_MESSAGE_LEAD


def retry_of(work: Work | None) -> RetryPolicy:
    """Return how ``work`` is retried."""
    return work.retry if isinstance(work, Remote) else LOCAL_RETRY


def _is_over(moment: datetime | None, at: datetime) -> bool:
    return moment is None or moment <= at


def _remote(work: Work | None) -> Remote:
    assert isinstance(work, Remote), work  # noqa: S101 - only a call has these outcomes
    return work


def _overdue_policy(work: Work, code: str) -> Reject | Proceed | Escalate:
    if isinstance(work, Wait):
        return work.overdue
    return _remote(work).pending_by_code[code].overdue


def _at_step(state: RunState, step: str) -> RunState:
    """Move to ``step``, and reset what counts there. Without one the run is no longer paused."""
    state = _without_wait(state)._replace(
        step=step, attempt_count=0, retry_count=0, tries=0, is_paused=state.is_paused and bool(step)
    )
    return _with_progress(state)


def _without_wait(state: RunState) -> RunState:
    return state._replace(not_before=None, waits_for="", waiting_since=None, waiting_until=None)


def _with_progress(state: RunState) -> RunState:
    state = state._replace(redispatch_count=0)
    return state if state.is_paused else state._replace(needs_attention=False, attention_reason="")


def _flagged(state: RunState, reason: str) -> RunState:
    state = state._replace(needs_attention=True)
    return state if state.is_paused else state._replace(attention_reason=reason)


def _is_stuck(retry: RetryPolicy, tries: int) -> bool:
    return tries >= ATTENTION_AFTER_TRIES or retry.is_spent(tries)


def _stuck_reason(name: str, tries: int, last: Answer) -> str:
    return f"{name}: {tries} attempts, last {last.outcome} {last.error}"


def _find(state: RunState, step: Step) -> PendingCompensation | None:
    return next((pending for pending in state.compensations if pending.step == step.name), None)


def _changed(state: RunState, step: Step, **values: object) -> RunState:
    """Return ``state`` with other values for one compensation."""
    return state._replace(
        compensations=tuple(
            pending._replace(**values) if pending.step == step.name else pending  # type: ignore[arg-type]
            for pending in state.compensations
        )
    )
