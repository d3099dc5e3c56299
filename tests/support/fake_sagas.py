"""Toy sagas: what they do can be seen in the database, and their far side answers as it is told."""

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import connection

from events.event_types import EventType
from events.models import OutboxEvent
from events.services import record
from sagas import registry, services
from sagas.batch import Batch, Output
from sagas.definition import (
    Attempt,
    Compensate,
    LocalAct,
    Saga,
    Step,
    WhenSpent,
    local_step,
    remote_step,
)
from sagas.descriptions import RejectionText, StepText
from sagas.identifiers import new_id
from sagas.models import SagaRun
from sagas.retry_policy import RetryPolicy

HOUR: Final = timedelta(hours=1)

THREE_TRIES: Final = RetryPolicy(first=HOUR, longest=HOUR, max_attempts=3)
FOR_EVER: Final = RetryPolicy(first=HOUR, longest=HOUR)
"""Nothing is due again within a test unless the test lets time pass."""

NO_ANSWER: Final = Compensate(RejectionText("No answer."))
REFUSALS: Final = {
    code: RejectionText("There is no {detail}.")
    for code in ("no_such_street", "no", "too late to say no")
}

Answer = Output | Exception | Callable[[Attempt], Output]


class Refused(Exception):
    """The far side says no."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


class Busy(Exception):
    """The far side did nothing."""


class Silence(Exception):
    """Nobody knows what the far side did."""


class Bug(Exception):
    """What no step declares."""


class WorkerLost(BaseException):
    """Ends a worker in the middle of a call, as nothing that the engine handles would."""


def die(attempt: Attempt) -> Output:
    """What a far side does to a worker that is killed while it asks."""
    raise WorkerLost


class Toys:
    """Makes steps and sagas, and is what they act on.

    Everything a step writes is a event about its subject, named like the step, its undo, or its
    hook: ``pack``, ``undo pack``, ``intend send``, ``record send``. A call answers ``{}`` unless
    told otherwise, and is refused, busy or silent by raising.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.batches: dict[str, list[int]] = defaultdict(list)
        self._answers: dict[str, deque[Answer]] = defaultdict(deque)
        self._troubles: dict[str, deque[Exception]] = defaultdict(deque)
        self._refusals: dict[str, set[UUID]] = defaultdict(set)
        self._registered: list[Saga] = []

    # -- what is to happen

    def answers(self, call: str, *answers: Answer) -> None:
        """Tell the far side what to answer next; a function is called in the middle of the call."""
        self._answers[call].extend(answers)

    def raises(self, act: str, *errors: Exception) -> None:
        """Have ``act`` raise, each time after it has written."""
        self._troubles[act].extend(errors)

    def refuses(self, act: str, subject_id: UUID) -> None:
        self._refusals[act].add(subject_id)

    # -- steps and sagas

    def local(
        self,
        name: str,
        *,
        queue: str = "checkout",
        is_undoable: bool = True,
        may_reject: bool = True,
    ) -> Step:
        rejections = {f"{name}_refused": RejectionText(f"No {name}.")}
        step = local_step(
            queue=queue,
            describe=StepText(f"{name} for staff", f"{name} for customers"),
            rejections=rejections if is_undoable and may_reject else {},
        )(self._act(name))
        if is_undoable:
            undo = StepText(f"undo {name} for staff", f"undo {name} for customers")
            step.compensation(describe=undo)(self._act(f"undo {name}"))
        return step

    def remote(
        self,
        name: str,
        *,
        queue: str = "checkout",
        is_undoable: bool = True,
        rejected_by: tuple[type[Exception], ...] = (Refused,),
        retry: RetryPolicy = THREE_TRIES,
        when_spent: WhenSpent = NO_ANSWER,
    ) -> Step:
        step = remote_step(
            queue=queue,
            system="parcels",
            describe=StepText(f"{name} for staff", f"{name} for customers", f"Please {name}."),
            prepare=self._act(f"intend {name}"),
            record=self._act(f"record {name}"),
            rejected_by=rejected_by,
            rejections=REFUSALS if rejected_by else {},
            transient=(Busy,),
            unknown=(Silence,),
            retry=retry,
            when_spent=when_spent if retry.max_attempts is not None else None,
        )(self._call(name))
        if is_undoable:
            step.remote_compensation(
                system="parcels",
                describe=StepText(f"undo {name}", f"Undoing {name}", f"Please undo {name}."),
                prepare=self._act(f"intend undo {name}"),
                record=self._act(f"record undo {name}"),
                transient=(Busy,),
                unknown=(Silence,),
                retry=FOR_EVER,
            )(self._call(f"undo {name}"))
        return step

    def saga(
        self, *steps: Step, name: str = "parcel", version: int = 1, compensating_only: bool = False
    ) -> Saga:
        """Make and register a saga; it is forgotten when the test ends."""
        saga = Saga(
            name,
            version,
            steps,
            compensation_queue="compensation",
            on_compensating=self._act("turn back"),
            on_compensated=self._act("compensated"),
            compensating_only=compensating_only,
        )
        self._registered.append(registry.register(saga))
        return saga

    def parcel(self) -> Saga:
        """Pack, send, file: a local step, a remote one and a local one, all on one queue."""
        return self.saga(self.local("pack"), self.remote("send"), self.local("file"))

    @property
    def last_saga(self) -> Saga:
        return self._registered[-1]

    def forget(self) -> None:
        for saga in self._registered:
            registry.unregister(saga)

    def _act(self, name: str) -> LocalAct:
        fact_type = EventType(name, 1, frozenset({"reason", "actor", "answer"}))

        def act(batch: Batch) -> None:
            self.batches[name].append(len(batch.runs))
            welcome = [
                each for each in batch.runs.values() if each.subject_id not in self._refusals[name]
            ]
            record(
                fact_type.of(
                    each.subject_id,
                    each.correlation_id,
                    {
                        "reason": each.reason.code if each.reason else "",
                        "actor": each.actor,
                        "answer": each.result,
                    },
                )
                for each in welcome
            )
            for subject_id in self._refusals[name] & batch.runs.keys():
                batch.reject(subject_id, f"{name}_refused", "it does not fit")
            if self._troubles[name]:
                raise self._troubles[name].popleft()

        act.__name__ = name
        return act

    def _call(self, name: str) -> Callable[[Attempt], Output]:
        def call(attempt: Attempt) -> Output:
            assert not connection.in_atomic_block
            self.calls.append((name, attempt.number))
            answer = self._answers[name].popleft() if self._answers[name] else {}
            if isinstance(answer, Exception):
                raise answer
            return answer(attempt) if callable(answer) else answer

        call.__name__ = name
        return call


def start(saga: Saga) -> SagaRun:
    return services.start(saga, new_id(), new_id())


def start_many(saga: Saga, count: int) -> list[SagaRun]:
    return [start(saga) for _ in range(count)]


def events(run: SagaRun) -> list[str]:
    """The names of what was written about the run's subject, oldest first."""
    events = OutboxEvent.objects.filter(key=run.subject_id).order_by("id")
    return list(events.values_list("name", flat=True))


def event(run: SagaRun, name: str) -> dict[str, object]:
    """What the only event of that name says."""
    said: dict[str, object] = OutboxEvent.objects.get(key=run.subject_id, name=name).payload
    return said


def journal(run: SagaRun, *fields: str) -> Sequence[tuple[object, ...]]:
    """The run's rows in the order in which they began: these fields, or what was tried and came."""
    wanted = fields or ("step", "direction", "number", "outcome")
    return list(run.attempts.order_by("pk").values_list(*wanted))


def everything(run: SagaRun) -> tuple[object, ...]:
    """All that is stored about a run, to be compared before and after."""
    row = SagaRun.objects.filter(pk=run.pk).values().get()
    return row, list(run.attempts.order_by("pk").values()), events(run)
