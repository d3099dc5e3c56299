"""A saga as data: its steps, their compensations, and the description of each step.

A step's work is of one of three kinds. **Local** work changes our database in the transaction that
journals it, so it takes effect exactly once. **Remote** work calls another system, in three parts:
``prepare`` runs in the transaction that claims the step, the call runs outside any transaction, and
``record`` runs in the transaction that settles the result. A **wait** is done when rows of our
database say so; see ``docs/waits.md``.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol, TypedDict, TypeVar, Unpack
from uuid import UUID

from django import forms

from sagas.batch import Batch, Output, WaitBatch
from sagas.descriptions import (
    RejectionText,
    StepText,
    WaitText,
    rejection_problem,
    text_problem,
    wait_problem,
)
from sagas.errors import DefinitionError, UnknownStep
from sagas.retry_policy import RetryPolicy

T = TypeVar("T")

CALL_TIME_LIMIT: Final = timedelta(seconds=8)
"""The default time limit of a remote call, for all its requests together. A lease is a little longer."""

LOOK_AGAIN: Final = RetryPolicy(initial_delay=timedelta(seconds=5), max_delay=timedelta(minutes=10))
"""When a pending call is made again if no nudge comes."""

LONGEST_BACK_OFF: Final = timedelta(hours=1)

MAX_CODE_LENGTH: Final = 64
"""The maximum length of a rejection code: that of the column ``SagaRun.reason``."""


class Attempt(Protocol):
    """One attempt at a remote call, as the step's function sees it."""

    @property
    def subject_id(self) -> UUID: ...

    @property
    def run_id(self) -> UUID: ...

    @property
    def input(self) -> Output:
        """What the run was started with."""

    def output_of(self, step: str) -> Output:
        """Return the result of an earlier step of this run; empty without one."""

    @property
    def number(self) -> int:
        """1 for the first attempt; with a higher number an earlier one may have taken effect."""

    @property
    def time_limit(self) -> timedelta:
        """How long the whole call may take."""

    def checkpoint(self, write: Callable[[], T]) -> T:
        """Run ``write`` in a short transaction that commits only while this attempt has its lease.

        Raises LeaseLost, with nothing written, when another worker has taken the run over.
        """


LocalAct = Callable[[Batch], None]
Condition = Callable[[WaitBatch], None]
Call = Callable[[Attempt], Output]
Deadline = timedelta | Callable[[Batch], Mapping[UUID, datetime]]
"""How long a wait may last, or a function that returns its end for each subject of a batch."""

Rejections = Mapping[str, RejectionText]
"""The codes that a step may reject with, and what people read about each."""


def _do_nothing(_: Batch) -> None:
    pass


def _proceed_past_deadline(batch: WaitBatch) -> None:
    for subject_id in batch.overdue_ids:
        batch.proceed(subject_id)


@dataclass(frozen=True, slots=True)
class Compensate:
    """When a step's retries are spent, the run compensates, with the reason ``{step}_unanswered``."""

    text: RejectionText


@dataclass(frozen=True, slots=True)
class Proceed:
    """When a step's retries are spent, the run goes on with ``output`` as the step's result.

    The journal says *proceeded*, and keeps the output. The call may still have taken effect, so the
    step is compensated like one that was done.
    """

    output: Output


WhenSpent = Compensate | Proceed


@dataclass(frozen=True, slots=True)
class Reject:
    """When a wait's deadline has passed, the run compensates, with this reason.

    ``code`` is one of the step's ``rejections``.
    """

    code: str


@dataclass(frozen=True, slots=True)
class Escalate:
    """When a wait's deadline has passed, the run is flagged for staff and waits ``extend_by`` longer."""

    extend_by: timedelta


Overdue = Reject | Proceed | Escalate


@dataclass(frozen=True, slots=True)
class PendingCall:
    """A call that its system has accepted, and whose answer comes later.

    A call says so by raising ``error``. The run then waits: it calls again when it is nudged, by the
    schedule of ``look_again``, and at the deadline; if the answer is still pending then, ``overdue``
    decides. These calls do not count as retries. An error with an attribute ``until`` (a time) brings
    its own deadline.
    """

    error: type[Exception]
    waits_for: WaitText
    deadline: timedelta
    overdue: Overdue
    look_again: RetryPolicy = LOOK_AGAIN

    @property
    def code(self) -> str:
        """The name of what the run waits for: the error's ``code``, or its class."""
        return str(getattr(self.error, "code", self.error.__name__))


@dataclass(frozen=True, slots=True)
class Local:
    """Work on our own database, in the transaction that journals it."""

    act: LocalAct
    describe: StepText
    rejections: Rejections = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Remote:
    """A call to another system.

    The type of an exception decides what it means. ``rejected_by``: the system said no; the
    exception has a ``code`` that is in ``rejections``, and may have a ``detail``. ``transient``: not
    done yet, so try again. ``unknown``: it may have taken effect; the next attempt finds out. Every
    other exception is journalled as failed, retried, and flagged for a person.
    """

    call: Call
    describe: StepText
    system: str
    """The system that it calls, as health and metrics name it, such as ``payment_provider``."""
    operations: tuple[str, ...] = ()
    """The payment provider's operations that it may call; the desk shows their idempotency keys."""
    prepare: LocalAct = _do_nothing
    record: LocalAct = _do_nothing
    rejected_by: tuple[type[Exception], ...] = ()
    rejections: Rejections = field(default_factory=dict)
    transient: tuple[type[Exception], ...] = ()
    unknown: tuple[type[Exception], ...] = ()
    pending: tuple[PendingCall, ...] = ()
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    when_spent: WhenSpent | None = None
    """Required where ``retry`` has a limit."""
    time_limit: timedelta = CALL_TIME_LIMIT
    """For one call with all its requests."""

    @property
    def pending_errors(self) -> tuple[type[Exception], ...]:
        """The errors by which a call says that its answer comes later."""
        return tuple(pending.error for pending in self.pending)

    @property
    def pending_by_code(self) -> dict[str, PendingCall]:
        """What a pending call waits for, by its code."""
        return {pending.code: pending for pending in self.pending}


@dataclass(frozen=True, slots=True)
class Wait:
    """A condition over rows of our database, with a deadline.

    ``until`` is called for runs that have just arrived, that were nudged, or whose deadline has passed.
    For each it calls ``proceed``, ``reject``, or neither: then the run goes on waiting. It runs
    under the run's lock, so a fact that was committed before its nudge is always found.
    ``begin`` runs once, in the transaction in which a run starts to wait.
    """

    until: Condition
    describe: StepText
    waits_for: WaitText
    deadline: Deadline
    overdue: Overdue
    rejections: Rejections = field(default_factory=dict)
    begin: LocalAct | None = None


Work = Local | Remote | Wait


class RemoteOptions(TypedDict, total=False):
    """The options of a remote step besides its system and its texts; see Remote."""

    operations: tuple[str, ...]
    prepare: LocalAct
    record: LocalAct
    rejected_by: tuple[type[Exception], ...]
    rejections: Rejections
    transient: tuple[type[Exception], ...]
    unknown: tuple[type[Exception], ...]
    pending: tuple[PendingCall, ...]
    retry: RetryPolicy
    when_spent: WhenSpent | None
    time_limit: timedelta


class Step:
    """One step of a saga: its action and, right below it in the source, its compensation."""

    def __init__(self, name: str, queue: str, action: Work) -> None:
        self.name = name
        self.queue = queue
        self.action = action
        self.compensating_action: Work | None = None
        self.compensation_name = ""

    def __repr__(self) -> str:
        return f"<step {self.name}>"

    def compensation(self, *, describe: StepText) -> Callable[[LocalAct], LocalAct]:
        """Declare the local act that compensates this step."""

        def declare(act: LocalAct) -> LocalAct:
            self.compensating_action = Local(act, describe)
            self.compensation_name = act.__name__
            return act

        return declare

    def remote_compensation(
        self, *, system: str, describe: StepText, **options: Unpack[RemoteOptions]
    ) -> Callable[[Call], Call]:
        """Declare the call that compensates this step."""

        def declare(call: Call) -> Call:
            self.compensating_action = Remote(call, describe, system, **options)
            self.compensation_name = call.__name__
            return call

        return declare

    @property
    def leaves_nothing(self) -> bool:
        """Whether it never needs a compensation: a wait that begins without writing anything."""
        return isinstance(self.action, Wait) and self.action.begin is None

    @property
    def unanswered_code(self) -> str:
        """The reason of a run that compensates because this step's retries are spent."""
        return f"{self.name}_unanswered"

    @property
    def rejection_texts(self) -> dict[str, RejectionText]:
        """Every code with which a run may compensate here, with its texts."""
        texts = dict(self.action.rejections)
        if isinstance(self.action, Remote) and isinstance(self.action.when_spent, Compensate):
            texts[self.unanswered_code] = self.action.when_spent.text
        return texts

    @property
    def action_and_compensation(self) -> Iterator[tuple[str, Work]]:
        """The action and the compensation, each with its name."""
        yield self.name, self.action
        if self.compensating_action is not None:
            yield self.compensation_name, self.compensating_action


def local_step(
    *, queue: str, describe: StepText, rejections: Rejections | None = None
) -> Callable[[LocalAct], Step]:
    """Make a step of a function that changes our database for a batch of runs."""

    def declare(act: LocalAct) -> Step:
        return Step(act.__name__, queue, Local(act, describe, rejections or {}))

    return declare


def remote_step(
    *, queue: str, system: str, describe: StepText, **options: Unpack[RemoteOptions]
) -> Callable[[Call], Step]:
    """Make a step of a function that calls another system."""

    def declare(call: Call) -> Step:
        return Step(call.__name__, queue, Remote(call, describe, system, **options))

    return declare


def wait_step(
    *,
    queue: str,
    describe: StepText,
    waits_for: WaitText,
    deadline: Deadline,
    overdue: Overdue,
    rejections: Rejections | None = None,
    begin: LocalAct | None = None,
) -> Callable[[Condition], Step]:
    """Make a step of a condition over rows; see Wait."""

    def declare(until: Condition) -> Step:
        wait = Wait(until, describe, waits_for, deadline, overdue, rejections or {}, begin)
        return Step(until.__name__, queue, wait)

    return declare


def timer_step(
    *, queue: str, describe: StepText, waits_for: WaitText
) -> Callable[[Callable[[Batch], Mapping[UUID, datetime]]], Step]:
    """Make a step of a function that returns, for each subject, the time until which its run waits."""

    def declare(end: Callable[[Batch], Mapping[UUID, datetime]]) -> Step:
        wait = Wait(_proceed_past_deadline, describe, waits_for, end, overdue=Proceed({}))
        return Step(end.__name__, queue, wait)

    return declare


@dataclass(frozen=True, slots=True)
class Link:
    """Consecutive steps on one queue: one task, and one message of a chain."""

    name: str
    queue: str
    steps: tuple[Step, ...]
    is_compensating: bool = False

    def work(self, step: Step) -> Work:
        """Return the action or the compensation of ``step``, by this link's direction."""
        work = step.compensating_action if self.is_compensating else step.action
        assert work is not None, f"{step.name} has no compensation"  # noqa: S101 - never pending
        return work

    def name_of(self, step: Step) -> str:
        """Return the name of what ``work`` returns for ``step``."""
        return step.compensation_name if self.is_compensating else step.name


@dataclass(frozen=True, slots=True)
class SignalContext:
    """Where a run is when a signal comes."""

    step: str
    waits_for: str
    is_compensating: bool


def while_running(context: SignalContext) -> bool:
    """Allow a signal until the run compensates."""
    return not context.is_compensating


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal that the runs of a saga take; ``sagas/signals.py`` records it.

    ``schema`` is a form that checks the payload, whose fields are JSON. ``allowed_when`` is asked under
    the run's lock. ``description`` says to staff what sending it does.
    """

    name: str
    description: str
    schema: type[forms.Form] = forms.Form
    allowed_when: Callable[[SignalContext], bool] = while_running


@dataclass(frozen=True, eq=False)
class Saga:
    """Steps in order. A run keeps the version that it was started with to its end.

    ``on_compensating`` acts in the transaction in which a run starts to compensate,
    ``on_compensated`` in the transaction of its last compensation, and ``on_completed`` in that of its
    last step: there a flow can start the one that follows it. A ``compensating_only`` saga
    compensates what another saga did, and is never paused. Raises DefinitionError for steps that
    could not be compensated or finished, or that lack a description.
    """

    name: str
    version: int
    steps: tuple[Step, ...]
    compensation_queue: str
    on_compensating: LocalAct = _do_nothing
    on_compensated: LocalAct = _do_nothing
    on_completed: LocalAct | None = None
    signals: tuple[Signal, ...] = ()
    compensating_only: bool = False

    def __post_init__(self) -> None:
        names = [step.name for step in self.steps]
        if not names or len(set(names)) != len(names):
            raise DefinitionError(
                f"{self.name}: needs at least one step, each with a name of its own"
            )
        texts: dict[str, RejectionText] = {}
        for step in self.steps:
            self._check_can_end(step)
            for name, work in step.action_and_compensation:
                _check_description(name, work)
            for code, text in step.rejection_texts.items():
                if texts.setdefault(code, text) != text:
                    raise DefinitionError(
                        f"{step.name}: an earlier step has other texts for {code}"
                    )

    def _check_can_end(self, step: Step) -> None:
        """Raise where a run could neither finish nor compensate."""
        if isinstance(step.compensating_action, Remote):
            if any(
                not isinstance(pending.overdue, Escalate)
                for pending in step.compensating_action.pending
            ):
                raise DefinitionError(f"{step.compensation_name}: past its deadline it can only escalate")
            if step.compensating_action.rejected_by:
                raise DefinitionError(
                    f"{step.compensation_name}: a compensation cannot be rejected"
                )
            if step.compensating_action.retry.max_attempts is not None:
                raise DefinitionError(
                    f"{step.compensation_name}: a compensation must retry without limit"
                )
        if self.can_compensate_at(step):
            return
        if step.action.rejections:
            raise DefinitionError(
                f"{step.name} may reject, but it or an earlier step has no compensation"
            )
        if isinstance(step.action, Remote) and _may_give_up(step.action):
            raise DefinitionError(f"{step.name} cannot compensate: retry without limit, or proceed")

    def can_compensate_at(self, step: Step) -> bool:
        """Return whether a run that is at ``step`` can still compensate."""
        begun = self.steps[: self.steps.index(step) + 1]
        return all(
            step.compensating_action is not None or step.leaves_nothing for step in begun
        )

    def step(self, name: str) -> Step:
        """Return the step with this name. Raises UnknownStep when the saga has no such step."""
        for step in self.steps:
            if step.name == name:
                return step
        raise UnknownStep(self.name, name)

    def after(self, step: Step) -> Step | None:
        """Return the step that follows ``step``; None after the last."""
        rest = self.steps[self.steps.index(step) + 1 :]
        return rest[0] if rest else None

    @property
    def wait_texts(self) -> dict[str, WaitText]:
        """What its runs may wait for, by the code that the run keeps."""
        texts: dict[str, WaitText] = {}
        for step in self.steps:
            for name, work in step.action_and_compensation:
                match work:
                    case Wait():
                        texts[name] = work.waits_for
                    case Remote():
                        texts |= {known.code: known.waits_for for known in work.pending}
        return texts

    @property
    def links(self) -> tuple[Link, ...]:
        """One link for each series of consecutive steps on the same queue."""
        series: list[list[Step]] = []
        for step in self.steps:
            if series and series[-1][0].queue == step.queue:
                series[-1].append(step)
            else:
                series.append([step])
        return tuple(
            Link(self._task_name(*(step.name for step in steps)), steps[0].queue, tuple(steps))
            for steps in series
        )

    @property
    def compensation_link(self) -> Link:
        """The link that compensates, last step first."""
        return Link(
            self._task_name("compensate"),
            self.compensation_queue,
            self.steps[::-1],
            is_compensating=True,
        )

    def links_from(self, step_name: str) -> tuple[Link, ...]:
        """Return the links that remain for a run that is at ``step_name``. Raises UnknownStep."""
        for position, link in enumerate(self.links):
            if step_name in {step.name for step in link.steps}:
                return self.links[position:]
        raise UnknownStep(self.name, step_name)

    def _task_name(self, *parts: str) -> str:
        return f"{self.name}.v{self.version}.{'-'.join(parts)}"


def _may_give_up(work: Remote) -> bool:
    return work.retry.max_attempts is not None and not isinstance(work.when_spent, Proceed)


def _check_description(name: str, work: Work) -> None:
    """Raise DefinitionError if the description of a step or a compensation is incomplete."""
    is_remote = isinstance(work, Remote)
    if problem := text_problem(work.describe, is_remote=is_remote):
        raise DefinitionError(f"{name} {problem}")
    for code, text in work.rejections.items():
        if not code or len(code) > MAX_CODE_LENGTH:
            raise DefinitionError(
                f"{name}: {code!r} is not a code of 1 to {MAX_CODE_LENGTH} characters"
            )
        if problem := rejection_problem(code, text):
            raise DefinitionError(f"{name} {problem}")
    match work:
        case Remote():
            _check_call(name, work)
        case Wait():
            _check_wait(name, work.waits_for, work.deadline, work.overdue, work.rejections)


def _check_wait(
    name: str, text: WaitText, deadline: Deadline, overdue: Overdue, rejections: Rejections
) -> None:
    """Raise DefinitionError for a wait that could not end, or cannot say what it waits for."""
    if problem := wait_problem(text):
        raise DefinitionError(f"{name} {problem}")
    if not callable(deadline) and (not isinstance(deadline, timedelta) or deadline <= timedelta()):
        raise DefinitionError(f"{name} needs a deadline")
    match overdue:
        case Reject(code) if code not in rejections:
            raise DefinitionError(f"{name} does not declare {code}, its rejection past the deadline")
        case Escalate(extend_by) if extend_by <= timedelta():
            raise DefinitionError(f"{name} needs a longer deadline after it was escalated")
        case Proceed(output):
            _check_output(name, output)


def _check_output(name: str, output: Output) -> None:
    try:
        json.dumps(output)
    except (TypeError, ValueError):
        raise DefinitionError(f"{name} cannot proceed: its output is not JSON") from None


def _check_call(name: str, work: Remote) -> None:
    if not work.system:
        raise DefinitionError(f"{name} needs the name of the system that it calls")
    for pending in work.pending:
        _check_wait(name, pending.waits_for, pending.deadline, pending.overdue, work.rejections)
    if len(work.pending_by_code) < len(work.pending):
        raise DefinitionError(f"{name}: two pending errors have the same code")
    may_be_overdue = any(isinstance(pending.overdue, Reject) for pending in work.pending)
    if bool(work.rejected_by or may_be_overdue) != bool(work.rejections):
        raise DefinitionError(f"{name} needs rejected_by and rejections, or neither")
    for error in work.rejected_by:
        code = getattr(error, "code", None)
        if isinstance(code, str) and code not in work.rejections:
            raise DefinitionError(f"{name} does not declare {code}, the code of {error.__name__}")
    if work.retry.max_delay > LONGEST_BACK_OFF:
        raise DefinitionError(f"{name}: a back-off lasts an hour at most")
    is_limited = work.retry.max_attempts is not None
    if is_limited != (work.when_spent is not None):
        raise DefinitionError(f"{name} needs a limit of retries and when_spent, or neither")
    match work.when_spent:
        case Compensate(text):
            if problem := rejection_problem(f"{name}_unanswered", text):
                raise DefinitionError(f"{name} {problem}")
        case Proceed(output):
            _check_output(name, output)
