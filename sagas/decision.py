"""What a run does next: pure functions of its state and of what has happened.

A phase (``sagas/phase.py``) reads the state under the run's lock, calls these functions, and writes
what they return. The model checker (``proof/protocol``) calls the same functions. None of them reads
a clock or the database. ``Forward`` and ``Compensating`` decide for the two directions of a run.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from sagas.compensating import Compensating
from sagas.definition import Saga, Step
from sagas.forward import Forward
from sagas.models import MESSAGE_GRACE, Outcome
from sagas.run_state import RunState, StepHistory, StepProgress
from sagas.work import Local

RETRY_MESSAGE_LEAD: Final = timedelta(seconds=2)
"""A retry's own message arrives this long before the sweep looks, so that the sweep sends no second one."""

Way = Forward | Compensating


def pending_compensations(
    saga: Saga, history: Mapping[str, StepHistory]
) -> tuple[StepProgress, ...]:
    """Return the steps of one run that must still be compensated, last step first.

    ``history`` has the steps that were attempted.
    """
    return tuple(
        StepProgress(
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
        and may_have_effect(step, last.outcome)
    )


def may_have_effect(step: Step, outcome: str) -> bool:
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
