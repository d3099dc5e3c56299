"""A saga as data: its steps, their compensations, and the description of each step.

A step's work is of one of three kinds (``sagas/work.py``). **Local** work changes our database in the
transaction that journals it, so it takes effect exactly once. **Remote** work calls another system:
``prepare`` runs in the transaction that claims the step, the call runs outside any transaction, and
``record`` runs in the transaction that settles the result. A **wait** is done when rows say so.
"""

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Unpack
from uuid import UUID

from sagas.batch import Batch
from sagas.definition_checks import (
    compensation_problems,
    problems_without_compensation,
    work_problems,
)
from sagas.descriptions import RejectionText, StepText, WaitText
from sagas.errors import DefinitionError, UnknownStep
from sagas.signal_types import Signal
from sagas.work import (
    Call,
    Compensate,
    Condition,
    Deadline,
    Local,
    LocalAct,
    Overdue,
    Proceed,
    Rejections,
    Remote,
    RemoteOptions,
    Wait,
    Work,
    do_nothing,
    proceed_past_deadline,
)


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
    def wait_codes(self) -> Set[str]:
        """What a run may wait for at this step, until it compensates."""
        match self.action:
            case Wait():
                return {self.name}
            case Remote():
                return self.action.pending_by_code.keys()
            case Local():
                return set()

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
        wait = Wait(proceed_past_deadline, describe, waits_for, end, overdue=Proceed({}))
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


@dataclass(frozen=True, eq=False)
class Saga:
    """Steps in order. A run keeps the version that it was started with to its end.

    ``on_compensating`` acts in the transaction in which a run starts to compensate,
    ``on_compensated`` in the transaction of its last compensation. ``on_completed`` acts in the
    transaction of the last step; there a flow starts the one that follows it. A ``compensating_only`` saga
    compensates what another saga did, and is never paused. ``takes_over`` names the older versions
    whose runs may be moved to this one (``sagas/moving.py``), each with its renamed steps: old name to
    new name. Raises DefinitionError for steps that could not be compensated or finished, or that
    lack a description.
    """

    name: str
    version: int
    steps: tuple[Step, ...]
    compensation_queue: str
    on_compensating: LocalAct = do_nothing
    on_compensated: LocalAct = do_nothing
    on_completed: LocalAct | None = None
    signals: tuple[Signal, ...] = ()
    compensating_only: bool = False
    takes_over: Mapping[int, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if problem := next(self._problems(), None):
            raise DefinitionError(problem)

    def _problems(self) -> Iterator[str]:
        names = [step.name for step in self.steps]
        if not names:
            yield f"{self.name}: needs at least one step"
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"{self.name}: two steps are named {name}"
        texts: dict[str, RejectionText] = {}
        for step in self.steps:
            yield from compensation_problems(step.compensation_name, step.compensating_action)
            if not self.can_compensate_at(step):
                yield from problems_without_compensation(step.name, step.action)
            for name, work in step.action_and_compensation:
                yield from work_problems(name, work)
            for code, text in step.rejection_texts.items():
                if texts.setdefault(code, text) != text:
                    yield f"{step.name}: an earlier step has other texts for {code}"
        for version, renamed in self.takes_over.items():
            yield from self._takeover_problems(version, renamed, set(names))

    def _takeover_problems(
        self, version: int, renamed: Mapping[str, str], names: set[str]
    ) -> Iterator[str]:
        """Yield a version that is not older, and renames that two steps could share."""
        new_names = set(renamed.values())
        if version >= self.version:
            yield f"{self.name}: takes over version {version}, which is not older"
        if not new_names <= names or len(new_names) != len(renamed):
            yield f"{self.name}: each renamed step of version {version} needs a step of its own"
        if new_names & set(renamed):
            yield f"{self.name}: a new name is also an old name of version {version}"

    def can_compensate_at(self, step: Step) -> bool:
        """Return whether a run that is at ``step`` can still compensate."""
        begun = self.steps[: self.steps.index(step) + 1]
        return all(step.compensating_action is not None or step.leaves_nothing for step in begun)

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
