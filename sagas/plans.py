"""One subject's runs as people read them: every attempt, and what the saga will do next."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db.models import Prefetch
from django.db.models.functions import Now

from sagas import registry
from sagas.definition import Remote, Saga, Step, Work
from sagas.errors import UnknownSaga, UnknownStep
from sagas.journal import pending_compensations, work_attempted
from sagas.models import LIVE, Direction, Outcome, RunStatus, SagaRun, StepAttempt


class Stage(StrEnum):
    """Where a step stands in its run's plan."""

    DONE = "done"
    CURRENT = "current"
    TO_COME = "to come"
    STOPPED = "turned back here"
    NEVER = "not reached"


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step, or one compensation, of a run's plan."""

    name: str
    stage: Stage
    is_remote: bool
    attempts: int = 0
    tries: int = 0
    """Those of the attempts that count against its patience."""
    most_tries: int | None = None
    """After so many the run turns back; None is never."""
    not_before: datetime | None = None
    is_being_tried: bool = False
    has_failed: bool = False
    """By an error that the step does not declare: those do not count, and are tried without end."""
    error: str = ""


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One attempt, as the journal has it."""

    id: int
    run_id: UUID
    name: str
    step: str
    direction: str
    is_remote: bool
    attempt: int
    fence: int
    outcome: str
    error: str
    detail: str
    output: Mapping[str, Any]
    started_at: datetime
    ended_at: datetime | None
    not_before: datetime | None


@dataclass(frozen=True, slots=True)
class RunDetail:
    """One run with its journal and its plan, at the database's ``now``."""

    id: UUID
    saga: str
    version: int
    correlation_id: UUID
    status: str
    step: str
    is_live: bool
    is_going_back: bool
    compensating_only: bool
    is_known: bool
    """Whether this code has its definition, without which it has no plan."""
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
    journal: tuple[JournalRow, ...]
    forward: tuple[PlannedStep, ...]
    back: tuple[PlannedStep, ...]
    """What is undone, last step first; empty for a run that nobody has asked to turn back."""

    @property
    def is_paused(self) -> bool:
        return self.paused_at is not None and self.status == RunStatus.RUNNING

    @property
    def is_leased(self) -> bool:
        """Whether a worker may be in the middle of a call."""
        return self.leased_until is not None and self.leased_until > self.now


def runs_of(subject_id: UUID) -> list[RunDetail]:
    """Return every run of a subject with its journal and its plan, oldest first, in two queries."""
    records = Prefetch("records", StepAttempt.objects.order_by("pk"))
    runs = SagaRun.objects.filter(subject_id=subject_id).annotate(read_at=Now())
    return [_story(each) for each in runs.order_by("created_at").prefetch_related(records)]


def _story(run: Any) -> RunDetail:
    saga = _definition(run)
    records = list(run.records.all())
    return RunDetail(
        id=run.pk,
        saga=run.saga,
        version=run.version,
        correlation_id=run.correlation_id,
        status=run.status,
        step=run.step,
        is_live=run.status in LIVE,
        is_going_back=run.status == RunStatus.COMPENSATING,
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
        journal=tuple(_row(each, saga) for each in records),
        forward=tuple(_way_forward(run, saga, records)) if saga else (),
        back=tuple(_way_back(run, saga, records)) if saga else (),
    )


def _definition(run: SagaRun) -> Saga | None:
    """The run's saga; None where this code does not know it, or the step at which it stands."""
    try:
        saga = registry.get(run.saga, run.version)
        if run.step:
            saga.step(run.step)
    except (UnknownSaga, UnknownStep):
        return None
    return saga


def _row(record: StepAttempt, saga: Saga | None) -> JournalRow:
    name, work = work_attempted(saga, record.step, record.direction)
    return JournalRow(
        id=record.pk,
        run_id=record.run_id,
        name=name,
        step=record.step,
        direction=record.direction,
        is_remote=isinstance(work, Remote),
        attempt=record.attempt,
        fence=record.fence,
        outcome=record.outcome,
        error=record.error,
        detail=record.detail,
        output=record.output,
        started_at=record.started_at,
        ended_at=record.ended_at,
        not_before=record.not_before,
    )


def _way_forward(run: SagaRun, saga: Saga, records: Sequence[StepAttempt]) -> Iterator[PlannedStep]:
    attempts = [each for each in records if each.direction == Direction.FORWARD]
    is_ahead = False
    for step in saga.steps:
        own = [each for each in attempts if each.step == step.name]
        is_current = run.status == RunStatus.RUNNING and run.step == step.name
        if any(each.outcome == Outcome.DONE for each in own):
            stage = Stage.DONE
        elif is_current:
            stage = Stage.CURRENT
        elif run.status == RunStatus.RUNNING:
            stage = Stage.TO_COME
        else:
            stage = Stage.STOPPED if own and not is_ahead else Stage.NEVER
        is_ahead = stage not in (Stage.DONE, Stage.STOPPED)
        yield _planned(
            step.name,
            step.action,
            stage,
            own,
            tries=run.tries if is_current else 0,
            not_before=run.not_before if is_current else None,
        )


def _way_back(run: SagaRun, saga: Saga, records: Sequence[StepAttempt]) -> Iterator[PlannedStep]:
    """The compensations of a run that has turned back, or is about to because somebody asked."""
    has_turned = run.status in (RunStatus.COMPENSATING, RunStatus.COMPENSATED)
    if not has_turned and not (run.status == RunStatus.RUNNING and run.compensation_requested_at):
        return
    pending = pending_compensations(saga, records)
    for step in reversed(saga.steps):
        own = _compensation_attempts(step, records)
        if step.compensating_action is None or (step not in pending and not own):
            continue
        is_first = has_turned and bool(pending) and step is next(iter(pending))
        is_under_way = any(each.outcome == Outcome.STARTED for each in own)
        if step not in pending:
            stage = Stage.DONE
        else:
            stage = Stage.CURRENT if is_first or is_under_way else Stage.TO_COME
        not_before = own[-1].not_before if own and step in pending else None
        yield _planned(
            step.compensation_name,
            step.compensating_action,
            stage,
            own,
            tries=len(own),
            not_before=not_before,
        )


def _compensation_attempts(step: Step, records: Sequence[StepAttempt]) -> list[StepAttempt]:
    return [
        each
        for each in records
        if each.step == step.name and each.direction == Direction.COMPENSATING
    ]


def _planned(
    name: str,
    work: Work,
    stage: Stage,
    attempts: Sequence[StepAttempt],
    *,
    tries: int,
    not_before: datetime | None,
) -> PlannedStep:
    last = attempts[-1] if attempts else None
    return PlannedStep(
        name=name,
        stage=stage,
        is_remote=isinstance(work, Remote),
        attempts=len(attempts),
        tries=tries,
        most_tries=work.retry.attempts if isinstance(work, Remote) else None,
        not_before=not_before,
        is_being_tried=last is not None and last.outcome == Outcome.STARTED,
        has_failed=last is not None and last.outcome == Outcome.FAILED,
        error=last.error if last else "",
    )
