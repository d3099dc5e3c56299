"""What a step does: local work, a call to another system, or a wait; and what follows when it fails."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol, TypedDict, TypeVar
from uuid import UUID

from sagas.batch import Batch, Output, WaitBatch
from sagas.descriptions import FailureText, RejectionText, StepText, WaitText
from sagas.retry_policy import RetryPolicy

T = TypeVar("T")

CALL_TIME_LIMIT: Final = timedelta(seconds=8)
"""The default time limit of a remote call, for all its requests together. A lease is a little longer."""

LOOK_AGAIN: Final = RetryPolicy(initial_delay=timedelta(seconds=5), max_delay=timedelta(minutes=10))
"""When a pending call is made again if no nudge comes."""


class Attempt(Protocol):
    """One attempt at a remote call, as the step's function sees it."""

    @property
    def subject_id(self) -> UUID: ...

    @property
    def run_id(self) -> UUID: ...

    @property
    def input(self) -> Output:
        """What the run was started with."""

    @property
    def waiting_until(self) -> datetime | None:
        """The deadline of the wait that this call looks at; None if the run does not wait yet."""

    @property
    def is_overdue(self) -> bool:
        """Whether that deadline has passed: the last look, unless the wait is extended."""

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


Failures = Mapping[type[Exception], FailureText]
"""The errors of a call that a person has to correct, and what staff read about each."""


def error_code(error: type[Exception]) -> str:
    """Return the name of a declared error in the journal: its ``code``, or its class."""
    return str(getattr(error, "code", error.__name__))


def do_nothing(_: Batch) -> None:
    pass


def proceed_past_deadline(batch: WaitBatch) -> None:
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
    """When a wait's deadline has passed, the run is flagged for staff and waits ``extend_by`` longer.

    ``to_do`` says in a sentence or two what staff do then.
    """

    extend_by: timedelta
    to_do: str = "Find out why, or extend the deadline."


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
        return error_code(self.error)


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
    other exception is journalled as failed, retried, and flagged for a person. ``failures`` has the
    texts for those of them that are no bugs.
    """

    call: Call
    describe: StepText
    system: str
    """The system that it calls, as health and metrics name it, such as ``payment_provider``."""
    operations: tuple[str, ...] = ()
    """The payment provider's operations that it may call; the desk shows their idempotency keys."""
    prepare: LocalAct = do_nothing
    record: LocalAct = do_nothing
    rejected_by: tuple[type[Exception], ...] = ()
    rejections: Rejections = field(default_factory=dict)
    transient: tuple[type[Exception], ...] = ()
    unknown: tuple[type[Exception], ...] = ()
    pending: tuple[PendingCall, ...] = ()
    failures: Failures = field(default_factory=dict)
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

    @property
    def failure_texts(self) -> dict[str, FailureText]:
        """What staff read about each declared failure, by its code in the journal."""
        return {error_code(error): text for error, text in self.failures.items()}


@dataclass(frozen=True, slots=True)
class Wait:
    """A condition over rows of our database, with a deadline.

    ``until`` is called for runs that have just arrived, that were nudged, or whose deadline has passed.
    For each it calls ``proceed``, ``reject``, or neither: then the run goes on waiting. It runs
    under the run's lock, so a fact that was committed before its nudge is always found.
    ``begin`` runs once, after the first look and in its transaction, for runs that start to wait. It
    finds their deadlines in ``batch.deadlines``.
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
    failures: Failures
    retry: RetryPolicy
    when_spent: WhenSpent | None
    time_limit: timedelta
