"""Sagas for tests of the engine: each act records an event, each call gives the result a test sets."""

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection

from events.event_types import Event, Payload
from events.models import OutboxEvent
from events.services import record
from sagas import registry, services
from sagas.batch import Batch, Output, WaitBatch
from sagas.definition import Saga, Step, local_step, remote_step, wait_step
from sagas.descriptions import RejectionText, StepText, WaitText
from sagas.identifiers import new_id
from sagas.models import SagaRun
from sagas.retry_policy import RetryPolicy
from sagas.signal_types import Signal
from sagas.work import (
    Attempt,
    Compensate,
    Deadline,
    Escalate,
    LocalAct,
    Overdue,
    PendingCall,
    Reject,
    WhenSpent,
)

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)

THREE_TRIES: Final = RetryPolicy(initial_delay=HOUR, max_delay=HOUR, max_attempts=3)
UNLIMITED_TRIES: Final = RetryPolicy(initial_delay=HOUR, max_delay=HOUR)
"""A retry is due within a test only when the test moves the clock."""

NO_ANSWER: Final = Compensate(RejectionText("No answer."))
REJECTIONS: Final = {
    code: RejectionText("There is no {detail}.")
    for code in ("no_such_street", "no", "too late to say no")
}

HOURLY: Final = RetryPolicy(initial_delay=2 * HOUR, max_delay=2 * HOUR)
"""Looks every one to two hours."""

REJECT_LATE: Final = Reject("no")

PARCEL_WAIT: Final = WaitText("the carrier", "your parcel's carrier", "it is sent back")

CallBehaviour = Output | Exception | Callable[[Attempt], Output]


class Rejected(Exception):
    """The outside system rejects the call."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


class Busy(Exception):
    """The outside system did nothing."""


class Silence(Exception):
    """The outside system may or may not have acted."""


class Accepted(Exception):
    """The outside system has accepted the call, and answers later."""

    def __init__(self, detail: str = "in progress", until: datetime | None = None) -> None:
        super().__init__(detail)
        self.until = until


class Bug(Exception):
    """An error that no step declares."""


class WorkerLost(BaseException):
    """Ends a worker in the middle of a call. Not an Exception, so that the engine does not handle it."""


def lose_worker(attempt: Attempt) -> Output:
    """End the worker in the middle of its call; a behaviour for ``FakeSagas.answers``."""
    raise WorkerLost


class FakeSagas:
    """Makes steps and sagas, and stands in for the outside system that they call.

    Every local act records an event about its subject. The event has the name of the act: ``pack``,
    ``prepare send``, ``record send``, ``compensate pack``, ``compensating``, ``compensated``. A
    call returns ``{}`` unless ``answers`` sets another behaviour.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        """Each call with the number of its attempt."""
        self.batches: dict[str, list[int]] = defaultdict(list)
        """For each act, how many runs each of its batches had."""
        self._behaviours: dict[str, deque[CallBehaviour]] = defaultdict(deque)
        self._errors: dict[str, deque[Exception]] = defaultdict(deque)
        self._rejected: dict[str, set[UUID]] = defaultdict(set)
        self.facts: dict[str, set[UUID]] = defaultdict(set)
        """For each wait, the subjects for which it is over."""
        self.looks: list[str] = []
        """The name of each wait whose condition was tried."""
        self._registered: list[Saga] = []

    # -- what a test sets

    def answers(self, call: str, *answers: CallBehaviour) -> None:
        """Set what the next calls do: return an output, raise an exception, or run a function."""
        self._behaviours[call].extend(answers)

    def raises(self, act: str, *errors: Exception) -> None:
        """Set the errors of the next batches of ``act``; each batch records its events first."""
        self._errors[act].extend(errors)

    def rejects(self, act: str, subject_id: UUID) -> None:
        """Make ``act`` reject the run of this subject."""
        self._rejected[act].add(subject_id)

    # -- steps and sagas

    def local(
        self,
        name: str,
        *,
        queue: str = "checkout",
        is_compensable: bool = True,
        may_reject: bool = True,
    ) -> Step:
        rejections = {f"{name}_rejected": RejectionText(f"No {name}.")}
        step = local_step(
            queue=queue,
            describe=StepText(f"{name} for staff", f"{name} for customers"),
            rejections=rejections if is_compensable and may_reject else {},
        )(self._act(name))
        if is_compensable:
            text = StepText(f"compensate {name} for staff", f"compensate {name} for customers")
            step.compensation(describe=text)(self._act(f"compensate {name}"))
        return step

    def remote(
        self,
        name: str,
        *,
        queue: str = "checkout",
        is_compensable: bool = True,
        rejected_by: tuple[type[Exception], ...] = (Rejected,),
        retry: RetryPolicy = THREE_TRIES,
        when_spent: WhenSpent = NO_ANSWER,
        overdue: Overdue = REJECT_LATE,
    ) -> Step:
        pending = PendingCall(Accepted, PARCEL_WAIT, DAY, overdue, HOURLY)
        step = remote_step(
            queue=queue,
            system="parcels",
            describe=StepText(f"{name} for staff", f"{name} for customers", f"Please {name}."),
            prepare=self._act(f"prepare {name}"),
            record=self._act(f"record {name}"),
            rejected_by=rejected_by,
            rejections=REJECTIONS if rejected_by else {},
            pending=(pending,) if rejected_by else (),
            transient=(Busy,),
            unknown=(Silence,),
            retry=retry,
            when_spent=when_spent if retry.max_attempts is not None else None,
        )(self._call(name))
        if is_compensable:
            step.remote_compensation(
                system="parcels",
                describe=StepText(
                    f"compensate {name}", f"Compensating {name}", f"Compensate {name}."
                ),
                prepare=self._act(f"prepare compensate {name}"),
                record=self._act(f"record compensate {name}"),
                pending=(PendingCall(Accepted, PARCEL_WAIT, DAY, Escalate(DAY), HOURLY),),
                transient=(Busy,),
                unknown=(Silence,),
                retry=UNLIMITED_TRIES,
            )(self._call(f"compensate {name}"))
        return step

    def wait(
        self,
        name: str,
        *,
        queue: str = "checkout",
        deadline: Deadline = DAY,
        overdue: Overdue | None = None,
        begins: bool = False,
        may_reject: bool = True,
    ) -> Step:
        """Make a wait, which is over for the subjects in ``facts[name]``.

        It rejects those that ``rejects`` names, and past its deadline by default.
        """
        step = wait_step(
            queue=queue,
            describe=StepText(f"{name} for staff", f"{name} for customers"),
            waits_for=WaitText(f"{name} by staff", f"{name} by customers", "it is sent back"),
            deadline=deadline,
            overdue=overdue or Reject(f"no_{name}"),
            rejections={
                code: RejectionText("Too late.") for code in (f"no_{name}", f"{name}_rejected")
            }
            if may_reject
            else {},
            begin=self._act(f"begin {name}") if begins else None,
        )(self._condition(name))
        if begins:
            text = StepText(f"compensate {name} for staff", f"compensate {name} for customers")
            step.compensation(describe=text)(self._act(f"compensate {name}"))
        return step

    def saga(
        self,
        *steps: Step,
        name: str = "parcel",
        version: int = 1,
        compensating_only: bool = False,
        on_completed: LocalAct | None = None,
        signals: tuple[Signal, ...] = (),
        takes_over: Mapping[int, Mapping[str, str]] | None = None,
    ) -> Saga:
        """Create and register a saga. The fixture unregisters it when the test ends."""
        saga = Saga(
            name,
            version,
            steps,
            compensation_queue="compensation",
            on_compensating=self._act("compensating"),
            on_compensated=self._act("compensated"),
            compensating_only=compensating_only,
            on_completed=on_completed,
            signals=signals,
            takes_over=takes_over or {},
        )
        self._registered.append(registry.register(saga))
        return saga

    def parcel(self) -> Saga:
        """Create a saga of three steps on one queue: pack (local), send (remote), file (local)."""
        return self.saga(self.local("pack"), self.remote("send"), self.local("file"))

    @property
    def first_saga(self) -> Saga:
        return self._registered[0]

    @property
    def last_saga(self) -> Saga:
        return self._registered[-1]

    def unregister_all(self) -> None:
        for saga in self._registered:
            registry.unregister(saga)

    def _act(self, name: str) -> LocalAct:
        class Acted(Payload, name=name, version=1):
            reason: str
            actor: str
            answer: Any

        def act(batch: Batch) -> None:
            self.batches[name].append(len(batch.runs))
            accepted = [
                run for run in batch.runs.values() if run.subject_id not in self._rejected[name]
            ]
            record(
                Event(
                    run.subject_id,
                    run.correlation_id,
                    Acted(
                        reason=run.reason.code if run.reason else "",
                        actor=run.actor,
                        answer=run.result,
                    ),
                )
                for run in accepted
            )
            for subject_id in self._rejected[name] & batch.runs.keys():
                batch.reject(subject_id, f"{name}_rejected", "it does not fit")
            if self._errors[name]:
                raise self._errors[name].popleft()

        act.__name__ = name
        return act

    def _condition(self, name: str) -> Callable[[WaitBatch], None]:
        def condition(batch: WaitBatch) -> None:
            self.looks.append(name)
            if self._errors[name]:
                raise self._errors[name].popleft()
            for subject_id in batch.subject_ids:
                if subject_id in self._rejected[name]:
                    batch.reject(subject_id, f"{name}_rejected", "it does not fit")
                elif subject_id in self.facts[name]:
                    batch.proceed(subject_id, {"over": name})

        condition.__name__ = name
        return condition

    def _call(self, name: str) -> Callable[[Attempt], Output]:
        def call(attempt: Attempt) -> Output:
            assert not connection.in_atomic_block
            self.calls.append((name, attempt.number))
            behaviour = self._behaviours[name].popleft() if self._behaviours[name] else {}
            if isinstance(behaviour, Exception):
                raise behaviour
            return behaviour(attempt) if callable(behaviour) else behaviour

        call.__name__ = name
        return call


def start(saga: Saga) -> SagaRun:
    return services.start(saga, new_id(), new_id())


def start_many(saga: Saga, count: int) -> list[SagaRun]:
    return [start(saga) for _ in range(count)]


def events(run: SagaRun) -> list[str]:
    """Return the names of the events about the run's subject, oldest first."""
    events = OutboxEvent.objects.filter(key=run.subject_id).order_by("id")
    return list(events.values_list("name", flat=True))


def event(run: SagaRun, name: str) -> dict[str, object]:
    """Return the payload of the only event with that name."""
    payload: dict[str, object] = OutboxEvent.objects.get(key=run.subject_id, name=name).payload
    return payload


def journal(run: SagaRun, *fields: str) -> Sequence[tuple[object, ...]]:
    """Return fields of the run's attempts, oldest first: by default what was tried, and its outcome."""
    chosen = fields or ("step", "direction", "number", "outcome")
    return list(run.attempts.order_by("pk").values_list(*chosen))


def stored_rows(run: SagaRun) -> tuple[object, ...]:
    """Return all that is stored about a run, to compare it before and after."""
    row = SagaRun.objects.filter(pk=run.pk).values().get()
    return row, list(run.attempts.order_by("pk").values()), events(run)
