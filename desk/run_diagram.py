"""What the saga will do next: its steps as boxes to be run_diagram, and one sentence in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from desk.audit_timeline import clock
from desk.order_state import OrderState
from orders.states import OrderStatus
from sagas.plans import PlannedStep, RunDetail, Stage


@dataclass(frozen=True, slots=True)
class StepNode:
    """One step of a run's plan as it is run_diagram."""

    name: str
    stage: str
    """A word for the style sheet: done, current, to-come, stopped, never."""
    note: str
    is_remote: bool


@dataclass(frozen=True, slots=True)
class RunDiagram:
    """One run: the row of its steps, and below it the row that takes them back, if there is one."""

    run: RunDetail
    forward: Sequence[StepNode]
    back: Sequence[StepNode]


_STYLES = {
    Stage.DONE: "done",
    Stage.CURRENT: "current",
    Stage.TO_COME: "to-come",
    Stage.STOPPED: "stopped",
    Stage.NEVER: "never",
}


def run_diagram(run: RunDetail) -> RunDiagram:
    """Return the plan of a run as rows of boxes."""
    return RunDiagram(
        run,
        [_step_node(each, run) for each in run.forward],
        [_step_node(each, run) for each in run.back],
    )


def next_step_sentence(state: OrderState) -> str:
    """Say in one sentence what happens on the next wake, and what follows from it."""
    run = state.live
    if run is None:
        return _ended(state)
    if not run.is_known:
        return (
            f"Nothing: this code does not know {run.saga} version {run.version} at {run.step},"
            " and leaves it for one that does."
        )
    if run.is_going_back:
        return _going_back(run)
    if run.compensation_requested_at is not None:
        return _compensating(run)
    if run.is_paused:
        return _held(run)
    return _going_forward(run)


def _ended(state: OrderState) -> str:
    match state.order.status:
        case OrderStatus.CONFIRMED:
            return "Nothing: every step is done."
        case OrderStatus.CANCELLED:
            return "Nothing: everything that was done is undone."
    return "Nothing: no run is under way."


def _going_forward(run: RunDetail) -> str:
    step = _current(run.forward)
    if step is None:
        return "The run ends: every step is done."
    attempt = _attempt(step)
    after = _afterwards(step)
    if run.is_leased and run.leased_until:
        return (
            f"A worker is in {step.name} now ({attempt}); if it is not heard of by"
            f" {clock(run.leased_until)}, another one finds out what became of it."
        )
    if step.not_before is not None and step.not_before > run.now:
        return f"Tries {step.name} again at {clock(step.not_before)}, {attempt}{after}."
    return f"Tries {step.name} as soon as a worker takes it, {attempt}{after}."


def _going_back(run: RunDetail) -> str:
    owed = [each for each in run.back if each.stage != Stage.DONE]
    if not owed:
        return "The run ends: everything is undone."
    waits = [each.not_before for each in owed if each.not_before and each.not_before > run.now]
    first = owed[0]
    rest = f", then {_names(owed[1:])}" if len(owed) > 1 else ", and the order is then cancelled"
    if run.is_leased and run.leased_until:
        return f"A worker is undoing with {first.name} now (attempt {first.attempts}){rest}."
    if len(waits) == len(owed):
        when = f"at {clock(min(waits))}"
        return (
            f"Tries {first.name} again {when}, attempt {first.attempts + 1}{rest}; never given up."
        )
    return f"Undoes with {first.name} as soon as a worker takes it{rest}."


def _compensating(run: RunDetail) -> str:
    undone = _names(run.back) or "nothing, since nothing was done"
    if run.is_leased:
        return f"The call that is being made is settled first; then it turns back: {undone}."
    return f"Turns back before its next step: {undone}."


def _held(run: RunDetail) -> str:
    settled = "What is being asked is settled; then nothing" if run.is_leased else "Nothing"
    return f"{settled} goes forward until a person releases it. It can still be cancelled."


def _afterwards(step: PlannedStep) -> str:
    if step.has_failed:
        return "; an error such as the last one is no answer, so until it is mended or cancelled"
    if step.most_tries is None:
        return "; until it is done"
    if step.tries + 1 >= step.most_tries:
        return "; without an answer it turns back"
    return f"; after {step.most_tries} without an answer it turns back"


def _attempt(step: PlannedStep) -> str:
    """Which attempt is the next, or the one being made, of how many."""
    tries = step.tries if step.is_being_tried else step.tries + 1
    if step.most_tries is None or step.has_failed:
        return f"attempt {step.attempts if step.is_being_tried else step.attempts + 1}"
    return f"attempt {tries} of {step.most_tries}"


def _current(steps: Sequence[PlannedStep]) -> PlannedStep | None:
    return next((each for each in steps if each.stage == Stage.CURRENT), None)


def _names(steps: Sequence[PlannedStep]) -> str:
    return ", ".join(each.name for each in steps)


def _step_node(step: PlannedStep, run: RunDetail) -> StepNode:
    return StepNode(step.name, _STYLES[step.stage], _note(step, run), step.is_remote)


def _note(step: PlannedStep, run: RunDetail) -> str:
    match step.stage:
        case Stage.DONE:
            return f"done, {step.attempts} attempts" if step.attempts > 1 else "done"
        case Stage.STOPPED:
            return f"turned back: {step.error}" if step.error else "turned back"
        case Stage.NEVER:
            return "not reached"
        case Stage.TO_COME if not step.not_before:
            return "to come"
    return _note_on_current(step, run)


def _note_on_current(step: PlannedStep, run: RunDetail) -> str:
    if run.is_paused:
        return "held"
    if step.is_being_tried:
        return f"{_attempt(step)}, now"
    if step.not_before is not None and step.not_before > run.now:
        return f"{_attempt(step)} at {clock(step.not_before)}"
    return _attempt(step)
