"""What this code would do next with a live run: the engine's own decisions, without any effect.

``sagas/queries/rehearsals.py`` reads the runs, and ``manage.py sagas rehearse`` shows the result. A run
is stranded if this code has no definition of its saga and version, its step, what it waits for, or
the compensation of something that it did.
"""

from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

from sagas import decision
from sagas.batch import Rejection
from sagas.compensating import Compensating
from sagas.definition import Saga, Step
from sagas.forward import Forward
from sagas.models import Outcome, RunStatus
from sagas.run_state import Moment, RunState, StepHistory

CANCELLED_NOW = Rejection("cancelled_in_rehearsal")


class Rehearsed(NamedTuple):
    """What this code would do with a run."""

    next: str = ""  # what it does next, without an event from outside
    if_cancelled: str = ""  # what it does if it is requested to compensate now
    stranded: str = ""  # why this code cannot advance it; empty if it can


class LiveRun(NamedTuple):
    """A live run as the rows have it."""

    state: RunState
    history: Mapping[str, StepHistory] = {}
    unknown_steps: Set[str] = frozenset()
    """Steps that were attempted, and that this code does not have."""


def rehearse(saga: Saga | None, run: LiveRun, moment: Moment) -> Rehearsed:
    """Decide what ``run`` does next. ``saga`` is this code's definition of its version, if any."""
    if saga is None:
        return Rehearsed(stranded="this code does not have this version")
    if stranded := _unknown(saga, run):
        return Rehearsed(stranded=stranded)
    pending = decision.pending_compensations(saga, run.history)
    state = run.state._replace(compensations=pending)
    forward = Forward(saga)
    if forward.must_compensate(state):
        state = forward.compensate(state, CANCELLED_NOW)
    if state.status == RunStatus.COMPENSATING:
        return Rehearsed(next=_compensates(saga, state, moment))
    if forward.has_finished(state):
        return Rehearsed(next="ends")
    step = saga.step(state.step)
    return Rehearsed(_next(forward, state, step, moment), _if_cancelled(forward, state, step))


def unknown_place(saga: Saga, step: str, waits_for: str) -> str:
    """Return what this code does not know of where a run is; empty if it knows it."""
    known = {known.name: known for known in saga.steps}
    if step and step not in known:
        return f"this code has no step {step}"
    codes = known[step].wait_codes if step else saga.wait_texts.keys()
    if waits_for and waits_for not in codes:
        return f"this code does not wait for {waits_for}{f' at {step}' if step else ''}"
    return ""


def _unknown(saga: Saga, run: LiveRun) -> str:
    if place := unknown_place(saga, run.state.step, run.state.waits_for):
        return place
    if run.unknown_steps:
        names = ", ".join(sorted(run.unknown_steps))
        return f"it attempted {names}, which this code neither has nor compensates"
    state = run.state
    if state.status == RunStatus.COMPENSATING or state.is_compensation_requested:
        for step in saga.steps:
            known = run.history.get(step.name)
            if known is None or step.compensating_action is not None or step.leaves_nothing:
                continue
            if decision.may_have_effect(step, known.outcome):
                return f"it compensates, and this code has no compensation of {step.name}"
    return ""


def _next(forward: Forward, state: RunState, step: Step, moment: Moment) -> str:
    if state.is_paused:
        return f"is paused at {step.name}"
    if state.waits_for:
        then = state.waiting_then or _at_deadline(forward, state, step, moment)
        return f"waits for {state.waits_for}, then {then}"
    if state.is_leased(moment.at):
        return f"settles its call of {step.name}"
    if state.leased_until is not None:
        state = forward.lost(state, step, moment)
    if forward.tries_are_spent(state, step):
        return f"gives up {step.name}"
    when = "" if forward.is_due(state, step, moment.at) else " after a back-off"
    return f"attempts {step.name}{when}"


def _at_deadline(forward: Forward, state: RunState, step: Step, moment: Moment) -> str:
    """Return what the run does if nothing happens until the deadline of its wait."""
    settled = forward.overdue(state, step, Outcome.REJECTED, moment.at).state
    if settled.waits_for:
        return "needs attention"
    if settled.status == RunStatus.COMPENSATING:
        return f"compensates: {settled.reason}"
    return f"goes on with {settled.step}" if settled.step else "ends"


def _if_cancelled(forward: Forward, state: RunState, step: Step) -> str:
    if not forward.saga.can_compensate_at(step):
        return "too late"
    pending = [left.step for left in state.compensations]
    has_begun = state.waits_for == step.name and not step.leaves_nothing
    if has_begun and step.name not in pending:  # its attempt is journalled when it is interrupted
        pending.insert(0, step.name)
    return _named(forward.saga, pending)


def _compensates(saga: Saga, state: RunState, moment: Moment) -> str:
    way, pending = Compensating(saga), [left.step for left in state.compensations]
    if way.has_finished(state):
        return "ends"
    state = state._replace(leased_until=None)
    due = [step for step in pending if way.is_due(state, saga.step(step), moment.at)]
    return _named(saga, due or pending)


def _named(saga: Saga, steps: Sequence[str]) -> str:
    names = [saga.step(step).compensation_name for step in steps]
    return f"compensates: {', '.join(names)}" if names else "has nothing to compensate"
