"""What a run does next: a diagram of its steps, and one sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from desk.audit_timeline import clock, date_and_time
from desk.order_state import OrderState
from desk.step_names import staff_name, system_name
from orders.states import OrderStatus
from sagas.queries.runs import PlannedStep, RunDetail, Stage
from sagas.queries.waits import WaitView
from sagas.work import Remote


@dataclass(frozen=True, slots=True)
class StepNode:
    """One step, or one compensation, of a run's plan."""

    name: str
    stage: str
    """The suffix of the CSS class: done, current, to-come, stopped or never."""
    note: str
    system: str
    """The system that it calls; empty for a local step and for a wait."""
    waits_for: str
    """What a wait step waits for; empty for another step."""


@dataclass(frozen=True, slots=True)
class RunDiagram:
    """One run: its steps and, if it compensates, its compensations."""

    run: RunDetail
    forward: Sequence[StepNode]
    compensations: Sequence[StepNode]


_STYLES = {
    Stage.DONE: "done",
    Stage.CURRENT: "current",
    Stage.TO_COME: "to-come",
    Stage.COMPENSATED_FROM: "stopped",
    Stage.NOT_REACHED: "never",
}


_AND_THEN = ", and the order is then cancelled"


def run_diagram(run: RunDetail) -> RunDiagram:
    """Return the diagram of a run's plan."""
    return RunDiagram(
        run,
        [_step_node(step, run) for step in run.steps],
        [_step_node(step, run) for step in run.compensations],
    )


def next_step_sentence(state: OrderState) -> str:
    """Return one sentence that says what happens next."""
    run = state.live
    if run is None:
        return _ended(state)
    if not run.is_known:
        return (
            f"Nothing: this code does not know {run.saga} version {run.version} at {run.step},"
            " and leaves the run for another version."
        )
    if run.is_compensating:
        return _compensating(run)
    if run.compensation_requested_at is not None:
        return _about_to_compensate(run)
    if run.is_paused:
        return _paused(run)
    return _going_forward(run)


def _ended(state: OrderState) -> str:
    match state.order.status:
        case OrderStatus.CONFIRMED:
            return "Nothing: every step is done."
        case OrderStatus.CANCELLED:
            return "Nothing: everything that was done is compensated."
    return "Nothing: no run is in progress."


def _going_forward(run: RunDetail) -> str:
    step = _current(run.steps)
    if step is None:
        return "The run ends: every step is done."
    attempt = _attempt(step)
    after = _afterwards(step, run)
    if run.wait is not None:
        sentence = _waiting(run, run.wait, None if run.is_leased else step.not_before)
        return f"{sentence} A worker looks now." if run.is_leased else sentence
    if step.waits_for and not run.is_leased:
        return f"Waits for {step.waits_for} as soon as a worker takes it."
    if run.is_leased and run.leased_until:
        return (
            f"A worker is in {staff_name(step.name)} now ({attempt}). If it does not report by"
            f" {clock(run.leased_until)}, another worker takes the run over."
        )
    when = "as soon as a worker takes it"
    if step.not_before is not None and step.not_before > run.now:
        when = f"again at {clock(step.not_before)}"
    return f"Tries {staff_name(step.name)} {when}, {attempt}{after}.{_to_do([step])}"


def _compensating(run: RunDetail) -> str:
    pending = [step for step in run.compensations if step.stage != Stage.DONE]
    if not pending:
        return "The run ends: everything is compensated."
    ends = [step.not_before for step in pending if step.not_before and step.not_before > run.now]
    first = pending[0]
    name = staff_name(first.name)
    rest = f", then {_names(pending[1:])}" if len(pending) > 1 else _AND_THEN
    if run.is_leased and run.leased_until:
        return f"A worker is in {name} now ({_attempt(first)}){rest}."
    if run.wait is not None:
        look_at = min(ends) if len(ends) == len(pending) else None
        return f"{_waiting(run, run.wait, look_at)} Pending: {_names(pending)}{_AND_THEN}."
    if len(ends) == len(pending):
        return (
            f"Tries {name} again at {clock(min(ends))}, {_attempt(first)}{rest};"
            f" retried until it succeeds.{_to_do(pending)}"
        )
    return f"Compensates with {name} as soon as a worker takes it{rest}."


def _about_to_compensate(run: RunDetail) -> str:
    compensations = _names(run.compensations) or "nothing, since nothing was done"
    if run.is_leased:
        return f"The call in progress is settled first; then the run compensates: {compensations}."
    return f"The run compensates before its next step: {compensations}."


def _paused(run: RunDetail) -> str:
    first = "The call in progress is settled; then no step" if run.is_leased else "No step"
    wait = f" {_waiting(run, run.wait)}" if run.wait is not None else ""
    return f"{first} starts until staff resume the order. It can still be cancelled.{wait}"


def _waiting(run: RunDetail, wait: WaitView, look_at: datetime | None = None) -> str:
    """Return "Waits for …, since …, until …; then …", and when a pending call is made again."""
    sentence = (
        f"Waits for {wait.text.staff}, since {date_and_time(wait.since)},"
        f" until {date_and_time(wait.until)}; then {wait.text.then}."
    )
    if wait.until <= run.now:
        return f"{sentence} The deadline has passed."
    if wait.is_escalated:
        return f"{sentence} An earlier deadline has passed."
    if look_at is not None and run.now < look_at < wait.until:
        return f"{sentence} The call is made again at {date_and_time(look_at)}."
    return sentence


def _to_do(steps: Sequence[PlannedStep]) -> str:
    """Return what staff do about the failures of these steps, from a space; empty without one."""
    failures = dict.fromkeys(step.failure for step in steps if step.failure is not None)
    return "".join(
        f" {failure.happened} {failure.remedy}"
        + (f" The runbook is {failure.runbook}." if failure.runbook else "")
        for failure in failures
    )


def _afterwards(step: PlannedStep, run: RunDetail) -> str:
    if step.has_failed and run.compensating_only:
        return (
            "; the last attempt failed with an error, so it is retried until the error is corrected"
        )
    if step.has_failed:
        return "; the last attempt failed with an error, so it is retried until the error is corrected or the order is cancelled"
    if step.retry_limit is None:
        return "; retried until it is done"
    then = _when_spent(step)
    if step.retry_count + 1 >= step.retry_limit:
        return f"; without an answer it {then}"
    return f"; after {step.retry_limit} without an answer it {then}"


def _when_spent(step: PlannedStep) -> str:
    return "goes on without one" if step.proceeds_when_spent else "compensates"


def _attempt(step: PlannedStep) -> str:
    """Return the number of the attempt in progress, or else of the next, and the limit."""
    is_counted = step.retry_limit is not None and not step.has_failed
    before = step.retry_count if is_counted else step.attempts_in_row
    number = before if step.is_in_flight else before + 1
    return f"attempt {number} of {step.retry_limit}" if is_counted else f"attempt {number}"


def _current(steps: Sequence[PlannedStep]) -> PlannedStep | None:
    return next((step for step in steps if step.stage == Stage.CURRENT), None)


def _names(steps: Sequence[PlannedStep]) -> str:
    return ", ".join(staff_name(step.name) for step in steps)


def _step_node(step: PlannedStep, run: RunDetail) -> StepNode:
    return StepNode(
        staff_name(step.name),
        _STYLES[step.stage],
        _note(step, run),
        system_name(step.system),
        step.waits_for,
    )


def _note(step: PlannedStep, run: RunDetail) -> str:
    match step.stage:
        case Stage.DONE:
            made = step.attempts_in_row
            return f"done, {made} attempts" if made > 1 else "done"
        case Stage.COMPENSATED_FROM:
            return f"stopped: {step.error}" if step.error else "stopped"
        case Stage.NOT_REACHED:
            return "not reached"
        case Stage.TO_COME if not step.not_before:
            return "to come"
    return _note_on_current(step, run)


def _note_on_current(step: PlannedStep, run: RunDetail) -> str:
    if run.is_paused:
        return "paused"
    if step.is_in_flight:
        return f"{_attempt(step)}, now"
    if run.wait is not None and _is_waited_in(step, run.wait):
        return f"waits until {date_and_time(run.wait.until)}"
    if step.waits_for:
        return "next"
    if step.not_before is not None and step.not_before > run.now:
        return f"{_attempt(step)} at {clock(step.not_before)}"
    return _attempt(step)


def _is_waited_in(step: PlannedStep, wait: WaitView) -> bool:
    """Return whether a run's wait is that of this step: the wait step itself, or its pending call."""
    is_pending = isinstance(step.work, Remote) and wait.code in step.work.pending_by_code
    return wait.code == step.name or (is_pending and step.has_pending_call)
