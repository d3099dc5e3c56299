"""The runs of one subject: every attempt, and the plan of what the saga does next."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import takewhile
from typing import Any
from uuid import UUID

from django.db.models import Prefetch

from clock.now import Now
from sagas import registry
from sagas.decision import pending_compensations
from sagas.definition import Saga
from sagas.descriptions import FailureText
from sagas.errors import UnknownSaga, UnknownStep
from sagas.models import LIVE, Direction, Outcome, RunStatus, SagaRun, StepAttempt
from sagas.queries.attempts import AttemptView, attempt_view
from sagas.queries.waits import WaitView, wait_of
from sagas.run_state import StepHistory
from sagas.signal_types import Signal, SignalContext, allowed_now
from sagas.work import Proceed, Remote, Wait, Work


class Stage(StrEnum):
    """How far a run is with one step, or with one compensation, of its plan."""

    DONE = "done"
    CURRENT = "current"
    TO_COME = "to come"
    COMPENSATED_FROM = "compensated from here"
    NOT_REACHED = "not reached"


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step, or one compensation, of a run's plan, with the attempts at it."""

    name: str
    work: Work
    stage: Stage
    attempts: Sequence[AttemptView] = ()
    retry_count: int = 0
    """How many attempts count against the retry limit."""
    not_before: datetime | None = None

    @property
    def system(self) -> str:
        """The system that it calls; empty for a local one."""
        return self.work.system if isinstance(self.work, Remote) else ""

    @property
    def waits_for(self) -> str:
        """What it waits for, for staff; empty for a step that is no wait."""
        return self.work.waits_for.staff if isinstance(self.work, Wait) else ""

    @property
    def retry_limit(self) -> int | None:
        """The number of attempts after which its retries are spent; None without a limit."""
        return self.work.retry.max_attempts if isinstance(self.work, Remote) else None

    @property
    def proceeds_when_spent(self) -> bool:
        """Whether the run goes on when the retries are spent; it compensates otherwise."""
        return isinstance(self.work, Remote) and isinstance(self.work.when_spent, Proceed)

    @property
    def last(self) -> AttemptView | None:
        return self.attempts[-1] if self.attempts else None

    @property
    def is_in_flight(self) -> bool:
        return self.last is not None and self.last.is_in_flight

    @property
    def has_pending_call(self) -> bool:
        """Whether its system has accepted the last call, and has not answered yet."""
        return self.last is not None and self.last.outcome == Outcome.PENDING

    @property
    def has_failed(self) -> bool:
        """Whether the last error is undeclared: it does not count, and is retried without limit."""
        return self.last is not None and self.last.outcome == Outcome.FAILED

    @property
    def failure(self) -> FailureText | None:
        """What staff read about the error of the last attempt; None without a declared failure."""
        return self.last.failure if self.last else None

    @property
    def attempts_in_row(self) -> int:
        """The number of attempts since its system has last said that the answer comes later."""
        newest_first = reversed(self.attempts)
        row = takewhile(lambda attempt: attempt.outcome != Outcome.PENDING, newest_first)
        return sum(1 for _ in row)

    @property
    def error(self) -> str:
        return self.last.error if self.last else ""


@dataclass(frozen=True, slots=True)
class RunDetail:
    """One run with its attempts and its plan, at the database's ``now``."""

    id: UUID
    saga: str
    version: int
    correlation_id: UUID
    status: str
    step: str
    is_live: bool
    is_compensating: bool
    compensating_only: bool
    is_known: bool
    """Whether this code has its definition. A run without one has no plan."""
    now: datetime
    created_at: datetime
    ended_at: datetime | None
    leased_until: datetime | None
    not_before: datetime | None
    wake_at: datetime | None
    redispatch_count: int
    compensation_requested_at: datetime | None
    reason: str
    reason_detail: str
    actor: str
    needs_attention: bool
    attention_reason: str
    paused_at: datetime | None
    pause_reason: str
    wait: WaitView | None
    """What the run waits for; None while it does not wait."""
    signals: Sequence[Signal]
    """The signals that it takes now."""
    attempts: Sequence[AttemptView]
    steps: Sequence[PlannedStep]
    compensations: Sequence[PlannedStep]
    """What is compensated, last step first. Empty until a compensation starts or is requested."""

    @property
    def is_paused(self) -> bool:
        return self.paused_at is not None and self.status == RunStatus.RUNNING

    @property
    def is_leased(self) -> bool:
        """Whether a worker may be in the middle of a call."""
        return self.leased_until is not None and self.leased_until > self.now


def runs_of(subject_id: UUID) -> list[RunDetail]:
    """Return every run of a subject with its attempts and its plan, oldest first, in two queries."""
    attempts = Prefetch("attempts", StepAttempt.objects.order_by("pk"))
    runs = SagaRun.objects.filter(subject_id=subject_id).annotate(read_at=Now())
    return [_detail(run) for run in runs.order_by("created_at").prefetch_related(attempts)]


def _detail(run: Any) -> RunDetail:
    saga = _definition(run)
    rows = list(run.attempts.all())
    attempts = [attempt_view(row, saga) for row in rows]
    return RunDetail(
        id=run.pk,
        saga=run.saga,
        version=run.version,
        correlation_id=run.correlation_id,
        status=run.status,
        step=run.step,
        is_live=run.status in LIVE,
        is_compensating=run.status == RunStatus.COMPENSATING,
        compensating_only=saga is not None and saga.compensating_only,
        is_known=saga is not None,
        now=run.read_at,
        created_at=run.created_at,
        ended_at=run.ended_at,
        leased_until=run.leased_until,
        not_before=run.not_before,
        wake_at=run.wake_at,
        redispatch_count=run.redispatch_count,
        compensation_requested_at=run.compensation_requested_at,
        reason=run.reason,
        reason_detail=run.reason_detail,
        actor=run.actor,
        needs_attention=run.needs_attention,
        attention_reason=run.attention_reason,
        paused_at=run.paused_at,
        pause_reason=run.pause_reason,
        wait=wait_of(run, saga),
        signals=_signals(run, saga),
        attempts=attempts,
        steps=list(_planned_steps(run, saga, attempts)) if saga else [],
        compensations=list(_planned_compensations(run, saga, rows, attempts)) if saga else [],
    )


def _signals(run: SagaRun, saga: Saga | None) -> list[Signal]:
    if saga is None or run.status not in LIVE:
        return []
    is_compensating = run.status == RunStatus.COMPENSATING
    return allowed_now(saga.signals, SignalContext(run.step, run.waits_for, is_compensating))


def _definition(run: SagaRun) -> Saga | None:
    """Return the run's saga; None if this code does not have it, or not the run's step."""
    try:
        saga = registry.get(run.saga, run.version)
        if run.step:
            saga.step(run.step)
    except (UnknownSaga, UnknownStep):
        return None
    return saga


def _planned_steps(
    run: SagaRun, saga: Saga, attempts: Sequence[AttemptView]
) -> Iterator[PlannedStep]:
    is_ahead = False
    for step in saga.steps:
        own = [
            attempt
            for attempt in attempts
            if attempt.step == step.name and not attempt.is_compensating
        ]
        is_current = run.status == RunStatus.RUNNING and run.step == step.name
        if any(attempt.is_done for attempt in own):
            stage = Stage.DONE
        elif is_current:
            stage = Stage.CURRENT
        elif run.status == RunStatus.RUNNING:
            stage = Stage.TO_COME
        else:
            stage = Stage.COMPENSATED_FROM if own and not is_ahead else Stage.NOT_REACHED
        is_ahead = stage not in (Stage.DONE, Stage.COMPENSATED_FROM)
        yield PlannedStep(
            step.name,
            step.action,
            stage,
            own,
            retry_count=run.retry_count if is_current else 0,
            not_before=run.not_before if is_current else None,
        )


def history_of(attempts: Sequence[StepAttempt]) -> dict[str, StepHistory]:
    """Return the last attempts at each step of one run, whose rows are given, oldest first."""
    history: dict[str, StepHistory] = {}
    for attempt in attempts:
        if attempt.direction == Direction.FORWARD:
            history[attempt.step] = StepHistory(attempt.outcome)
        else:
            known = history[attempt.step]
            history[attempt.step] = known._replace(
                compensation_outcome=attempt.outcome,
                error=attempt.error,
                number=attempt.number,
                tries=attempt.tries,
                not_before=attempt.not_before,
                first_at=known.first_at or attempt.started_at,
            )
    return history


def _planned_compensations(
    run: SagaRun, saga: Saga, rows: Sequence[StepAttempt], attempts: Sequence[AttemptView]
) -> Iterator[PlannedStep]:
    """Yield what a run compensates that has started to, or was requested to."""
    has_started = run.status in (RunStatus.COMPENSATING, RunStatus.COMPENSATED)
    if not has_started and not (run.status == RunStatus.RUNNING and run.compensation_requested_at):
        return
    pending = [left.step for left in pending_compensations(saga, history_of(rows))]
    first = pending[0] if has_started and pending else None
    for step in reversed(saga.steps):
        own = [
            attempt for attempt in attempts if attempt.step == step.name and attempt.is_compensating
        ]
        if step.compensating_action is None or (step.name not in pending and not own):
            continue
        if step.name not in pending:
            stage = Stage.DONE
        elif step.name == first or any(attempt.is_in_flight for attempt in own):
            stage = Stage.CURRENT
        else:
            stage = Stage.TO_COME
        yield PlannedStep(
            step.compensation_name,
            step.compensating_action,
            stage,
            own,
            retry_count=len(own),
            not_before=own[-1].not_before if own and step.name in pending else None,
        )
