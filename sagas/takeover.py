"""Whether a run of an older version of a saga may go on with a newer one: pure functions.

``sagas/moving.py`` reads and writes the rows.
"""

from collections.abc import Iterator, Mapping, Set
from typing import NamedTuple

from sagas.decision import may_have_effect
from sagas.definition import Saga, Step
from sagas.journal import HAS_RESULT
from sagas.models import RunStatus
from sagas.run_state import RunState, StepHistory
from sagas.work import Remote, Wait, Work


class Candidate(NamedTuple):
    """A run that may be moved."""

    saga: Saga  # of the run's version
    state: RunState
    history: Mapping[str, StepHistory]
    untaken_signals: Set[str] = frozenset()


class Takeover(NamedTuple):
    """Where a run goes on in the new version."""

    step: str
    waits_for: str


def takeover_of(run: Candidate, new: Saga) -> Takeover | str:
    """Return where ``run`` goes on in ``new``, or the reason why it stays, for operators."""
    renamed = new.takes_over.get(run.saga.version)
    if renamed is None:
        return f"version {new.version} does not take over version {run.saga.version}"
    reason = next(_reasons(run, new, renamed), None)
    if reason is not None:
        return reason
    state = run.state
    step = renamed.get(state.step, state.step)
    return Takeover(step, step if state.waits_for == state.step else state.waits_for)


def _reasons(run: Candidate, new: Saga, renamed: Mapping[str, str]) -> Iterator[str]:
    state = run.state
    if state.status != RunStatus.RUNNING or state.is_compensation_requested:
        yield "it compensates"
    elif state.leased_until is not None:
        yield "a call is in flight"
    elif not state.step:
        yield "its steps are done"
    else:
        followers = {step.name: step for step in new.steps}
        pairs = [
            (step, followers.get(renamed.get(step.name, step.name))) for step in run.saga.steps
        ]
        here = dict(pairs)[run.saga.step(state.step)]
        yield from _reasons_here(run, new, here)
        for step, follower in pairs:
            yield from _reasons_of_effects(run, new, step, follower)
            yield from _reasons_of_order(run, new, follower, here, step)
    for name in sorted(run.untaken_signals - {signal.name for signal in new.signals}):
        yield f"version {new.version} does not take the signal {name}, which was sent"


def _reasons_here(run: Candidate, new: Saga, here: Step | None) -> Iterator[str]:
    """Yield why the run could not go on where it is."""
    old = run.saga.step(run.state.step)
    if here is None:
        yield f"version {new.version} has no step for {old.name}, where it is"
    elif not _is_same_work(old.action, here.action):
        yield f"{old.name} is another kind of step in version {new.version}"
    elif run.state.waits_for and not _waits_for_same(run.state.waits_for, old.action, here.action):
        yield f"{old.name} does not wait for {run.state.waits_for} in version {new.version}"


def _reasons_of_effects(
    run: Candidate, new: Saga, step: Step, follower: Step | None
) -> Iterator[str]:
    """Yield why an effect of ``step`` could not be compensated any more."""
    known = run.history.get(step.name)
    has_begun = bool(run.state.waits_for) and step.name == run.state.step
    if step.leaves_nothing or not (
        has_begun or (known is not None and may_have_effect(step, known.outcome))
    ):
        return
    if follower is None:
        yield f"version {new.version} has no step for {step.name}, which may have had an effect"
    elif follower.compensating_action is None and step.compensating_action is not None:
        yield f"version {new.version} does not compensate {step.name}, which may have had an effect"


def _reasons_of_order(
    run: Candidate, new: Saga, follower: Step | None, here: Step | None, step: Step
) -> Iterator[str]:
    """Yield why ``step``, which is done, would be done again."""
    known = run.history.get(step.name)
    if known is None or follower is None or here is None or known.outcome not in HAS_RESULT:
        return
    if new.steps.index(follower) >= new.steps.index(here):
        yield f"version {new.version} would repeat {step.name}, which is done"


def _is_same_work(old: Work, new: Work) -> bool:
    """Return whether a run may go on with ``new`` where it is at ``old``."""
    if isinstance(old, Remote) and isinstance(new, Remote):
        return old.system == new.system
    return type(old) is type(new)


def _waits_for_same(code: str, old: Work, new: Work) -> bool:
    if isinstance(old, Wait) and isinstance(new, Wait):
        return (old.begin is None) == (new.begin is None)
    return isinstance(new, Remote) and code in new.pending_by_code
