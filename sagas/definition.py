"""A saga as data: its steps, their compensations, and how patiently each is repeated.

Two kinds of work exist. A **local** one changes our database, and takes effect in the same
transaction as its journal row: exactly once. A **remote** one asks another system, and comes in
three parts: ``prepare`` (in the transaction that claims the step), the call itself (outside any
transaction), and ``record`` (in the transaction that settles the answer).
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol, TypeVar
from uuid import UUID

from sagas.bulk_sql import Change
from sagas.errors import DefinitionError, UnknownStep

T = TypeVar("T")
Output = dict[str, Any]
"""What a call answers, as JSON; kept in the journal and handed to ``record``."""

CALL_DEADLINE = timedelta(seconds=8)
"""The whole of one remote call, all its requests together; its lease is a little longer."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a run turns back: a stable code for programs, and details for the journal."""

    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential back-off with equal jitter: half of the delay is certain, half is chance.

    The jitter is AWS's "equal jitter" (Brooker, *Exponential Backoff And Jitter*, 2015): unlike
    full jitter it never asks again at once. ``attempts`` counts all tries; None is for ever.
    """

    first: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(seconds=60)
    attempts: int | None = None

    def delay(self, tries: int) -> timedelta:
        """How long to wait after ``tries`` tries (1 or more)."""
        factor = 2 ** min(tries - 1, 62)
        # Compared as a ratio: the product may be more than a timedelta holds.
        whole = self.longest if factor > self.longest / self.first else self.first * factor
        return whole / 2 + whole / 2 * random.random()  # noqa: S311 - jitter is not a secret

    def is_spent(self, tries: int) -> bool:
        """Whether no further try is allowed after ``tries`` tries."""
        return self.attempts is not None and tries >= self.attempts


@dataclass(frozen=True, slots=True)
class RunView:
    """One run as a local step sees it."""

    run_id: UUID
    subject_id: UUID
    correlation_id: UUID
    reason: Rejection | None = None  # why the run turned back, once it has
    actor: str = ""  # who asked it to turn back; empty when a step did
    answer: Output = field(default_factory=dict)  # what the call said, where one was made


class Batch:
    """The runs that a local step acts on together, in one transaction.

    The step writes set-based statements for all of them, and names those that it refuses; what
    it wrote for a refused run must be nothing.
    """

    def __init__(self, members: Sequence[RunView], changes: list[Change]) -> None:
        self.runs = {each.subject_id: each for each in members}
        self.rejections: dict[UUID, Rejection] = {}
        self._changes = changes

    @property
    def subject_ids(self) -> list[UUID]:
        """The subjects, in the order in which their rows are to be locked."""
        return sorted(self.runs)

    @property
    def correlation_ids(self) -> dict[UUID, UUID]:
        """Which correlation id the events about each subject carry."""
        return {subject: each.correlation_id for subject, each in self.runs.items()}

    @property
    def results(self) -> dict[UUID, Output]:
        """What the call answered for each subject; for ``record``."""
        return {subject: each.answer for subject, each in self.runs.items()}

    def write(self, *changes: Change) -> None:
        """Have rows written in the statement that journals the step: none reads them before."""
        self._changes += changes

    def reject(self, subject_id: UUID, code: str, detail: str = "") -> None:
        """Turn this subject's run back: the answer is no."""
        self.rejections[subject_id] = Rejection(code, detail)


class Attempt(Protocol):
    """One try at a remote call, as the step's function sees it."""

    @property
    def subject_id(self) -> UUID: ...

    @property
    def number(self) -> int:
        """1 for the first try; more means that an earlier one may have taken effect."""

    @property
    def budget(self) -> timedelta:
        """How long the whole call may take."""

    def checkpoint(self, write: Callable[[], T]) -> T:
        """Run ``write`` in a short transaction that only this attempt's holder can commit.

        Raises LeaseLost, with nothing written, when another worker has taken the run over.
        """


LocalAct = Callable[[Batch], None]
Call = Callable[[Attempt], Output]


def _nothing_to_write(_: Batch) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Local:
    """Work on our own database, in the transaction that journals it."""

    act: LocalAct


@dataclass(frozen=True, slots=True)
class Remote:
    """A call to another system. Its exceptions are sorted by type, and only here.

    ``rejected_by``: the answer is no. ``transient``: it is not done yet, ask again. ``unknown``: it
    may have acted; the next attempt finds out. Every other exception is a bug or a matter for a
    person, and surfaces.
    """

    call: Call
    prepare: LocalAct = _nothing_to_write
    record: LocalAct = _nothing_to_write
    rejected_by: tuple[type[Exception], ...] = ()
    transient: tuple[type[Exception], ...] = ()
    unknown: tuple[type[Exception], ...] = ()
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    deadline: timedelta = CALL_DEADLINE


Work = Local | Remote


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

    def compensation(self, act: LocalAct) -> LocalAct:
        """Declare what takes a local step back."""
        self.compensating_action, self.compensation_name = Local(act), act.__name__
        return act

    def remote_compensation(self, **options: Any) -> Callable[[Call], Call]:
        """Declare the call that takes this step back; the options are those of Remote."""

        def declare(call: Call) -> Call:
            self.compensating_action, self.compensation_name = (
                Remote(call, **options),
                call.__name__,
            )
            return call

        return declare


def local_step(*, queue: str) -> Callable[[LocalAct], Step]:
    """Make a step of a function that changes our database for a batch of runs."""

    def declare(act: LocalAct) -> Step:
        return Step(act.__name__, queue, Local(act))

    return declare


def remote_step(*, queue: str, **options: Any) -> Callable[[Call], Step]:
    """Make a step of a function that calls another system; the options are those of Remote."""

    def declare(call: Call) -> Step:
        return Step(call.__name__, queue, Remote(call, **options))

    return declare


@dataclass(frozen=True, slots=True)
class Link:
    """Consecutive steps on one queue: one task, and one message of a chain."""

    name: str
    queue: str
    steps: tuple[Step, ...]
    is_compensating: bool = False

    def work(self, step: Step) -> Work:
        """What is to be done at ``step`` in this link's direction."""
        work = step.compensating_action if self.is_compensating else step.action
        assert work is not None, f"{step.name} has no compensation"  # noqa: S101 - never pending
        return work

    def name_of(self, step: Step) -> str:
        """What doing ``step`` in this link's direction is called."""
        return step.compensation_name if self.is_compensating else step.name


@dataclass(frozen=True, eq=False)
class Saga:
    """Steps in order. A run keeps the version that it was started with to its end.

    ``on_compensating`` acts in the transaction in which a run turns back, ``on_compensated`` in the one
    in which its last undo is done. A saga that ``compensating_only`` is never paused: going on is
    what is safe.
    """

    name: str
    version: int
    steps: tuple[Step, ...]
    compensation_queue: str
    on_compensating: LocalAct = _nothing_to_write
    on_compensated: LocalAct = _nothing_to_write
    compensating_only: bool = False

    def __post_init__(self) -> None:
        names = [each.name for each in self.steps]
        if not names or len(set(names)) != len(names):
            raise DefinitionError(f"{self.name}: steps need names of their own, one at least")
        for step in self.steps:
            self._check(step)

    def _check(self, step: Step) -> None:
        """Refuse what could not be undone or could not be finished."""
        if isinstance(step.compensating_action, Remote):
            if step.compensating_action.rejected_by:
                raise DefinitionError(f"{step.compensation_name}: a compensation cannot be refused")
            if step.compensating_action.retry.attempts is not None:
                raise DefinitionError(
                    f"{step.compensation_name}: a compensation must retry for ever"
                )
        if self.can_compensate_at(step):
            return
        if isinstance(step.action, Remote):
            if step.action.rejected_by:
                raise DefinitionError(f"{step.name} may be refused, but not all can be undone")
            if step.action.retry.attempts is not None:
                raise DefinitionError(f"{step.name} cannot turn back: it must retry for ever")

    def can_compensate_at(self, step: Step) -> bool:
        """Whether a run that stands at ``step`` may still be undone."""
        upto = self.steps[: self.steps.index(step) + 1]
        return all(each.compensating_action is not None for each in upto)

    def step(self, name: str) -> Step:
        """Return the step with this name. Raises UnknownStep when there is none."""
        for each in self.steps:
            if each.name == name:
                return each
        raise UnknownStep(self.name, name)

    def after(self, step: Step) -> Step | None:
        """Return the step behind ``step``, or None when it is the last."""
        rest = self.steps[self.steps.index(step) + 1 :]
        return rest[0] if rest else None

    @property
    def links(self) -> tuple[Link, ...]:
        """The whole way forward, one link for each stretch of steps on the same queue."""
        stretches: list[list[Step]] = []
        for step in self.steps:
            if stretches and stretches[-1][0].queue == step.queue:
                stretches[-1].append(step)
            else:
                stretches.append([step])
        return tuple(
            Link(self._task_name(*(each.name for each in steps)), steps[0].queue, tuple(steps))
            for steps in stretches
        )

    @property
    def compensation_link(self) -> Link:
        """The one link that undoes, in reverse."""
        return Link(
            self._task_name("compensate"),
            self.compensation_queue,
            self.steps[::-1],
            is_compensating=True,
        )

    def links_from(self, step_name: str) -> tuple[Link, ...]:
        """Return what remains of the way forward for a run that stands at ``step_name``."""
        for position, link in enumerate(self.links):
            if step_name in {each.name for each in link.steps}:
                return self.links[position:]
        raise UnknownStep(self.name, step_name)

    def _task_name(self, *parts: str) -> str:
        return f"{self.name}.v{self.version}.{'-'.join(parts)}"
