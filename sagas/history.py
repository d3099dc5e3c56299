"""What may be read of the journal: the attempts made for a subject, the wishes, what needs a person."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Case, F, OuterRef, Q, QuerySet, Subquery, When, Window
from django.db.models.functions import Coalesce, RowNumber

from sagas import registry
from sagas.journal import work_attempted
from sagas.models import LIVE, RunStatus, SagaRun, StepAttempt


@dataclass(frozen=True, slots=True)
class AttemptSummary:
    """One attempt from the journal, under the name of what was tried."""

    name: str
    number: int
    outcome: str
    error: str
    detail: str
    started_at: datetime
    ended_at: datetime | None


def attempts_for(subject_id: UUID) -> list[AttemptSummary]:
    """Return every attempt that any run made for a subject, in the order in which they began."""
    return [_made(each) for each in _attempts([subject_id])]


def last_attempts(subject_ids: Sequence[UUID], most: int) -> Mapping[UUID, list[AttemptSummary]]:
    """Return at ``most`` the last attempts for each subject, in the order in which they began."""
    recency = Window(RowNumber(), partition_by=F("run__subject_id"), order_by=F("pk").desc())
    found: defaultdict[UUID, list[AttemptSummary]] = defaultdict(list)
    for each in _attempts(subject_ids).annotate(recency=recency).filter(recency__lte=most):
        found[each.run.subject_id].append(_made(each))
    return found


def _attempts(subject_ids: Sequence[UUID]) -> QuerySet[StepAttempt]:
    records = StepAttempt.objects.filter(run__subject_id__in=subject_ids)
    return records.select_related("run").order_by("pk")


def _made(record: StepAttempt) -> AttemptSummary:
    saga = registry.find(record.run.saga, record.run.version)
    name, _ = work_attempted(saga, record.step, record.direction)
    return AttemptSummary(
        name=name,
        number=record.attempt,
        outcome=record.outcome,
        error=record.error,
        detail=record.detail,
        started_at=record.started_at,
        ended_at=record.ended_at,
    )


@dataclass(frozen=True, slots=True)
class CompensationRequested:
    """That somebody asked for a run to turn back."""

    at: datetime
    reason: str
    actor: str


def compensation_requests(
    subject_ids: Sequence[UUID],
) -> Mapping[UUID, list[CompensationRequested]]:
    """Return the wishes that were written down for each subject's runs, oldest first."""
    asked = SagaRun.objects.filter(
        subject_id__in=subject_ids, compensation_requested_at__isnull=False
    ).order_by("compensation_requested_at")
    found: defaultdict[UUID, list[CompensationRequested]] = defaultdict(list)
    columns = ("subject_id", "compensation_requested_at", "reason", "actor")
    for subject_id, at, reason, actor in asked.values_list(*columns):
        if at is not None:
            found[subject_id].append(CompensationRequested(at, reason, actor))
    return found


def cancel_requested_at(subject_id: str) -> Subquery:
    """Return what a query of subjects annotates to read when it was asked that each be undone.

    Either its run was asked to turn back, or one began that only gives back. ``subject_id`` is the
    field with the subject's id.
    """
    gives_back = [each.name for each in registry.all_sagas() if each.compensating_only]
    asked = SagaRun.objects.filter(
        Q(compensation_requested_at__isnull=False) | Q(saga__in=gives_back),
        subject_id=OuterRef(subject_id),
    )
    moments = asked.annotate(asked_at=Coalesce("compensation_requested_at", "created_at"))
    return Subquery(moments.order_by("asked_at").values("asked_at")[:1])


def subject_of(run_id: UUID) -> UUID | None:
    """Return what a run is about; None where there is no such run."""
    return SagaRun.objects.filter(pk=run_id).values_list("subject_id", flat=True).first()


def count_live() -> int:
    """Return how many runs have not ended."""
    return SagaRun.objects.filter(status__in=LIVE).count()


def flagged_runs() -> QuerySet[SagaRun]:
    """Return the live runs that wait for a person to look."""
    return _live().filter(needs_attention=True)


def paused_runs() -> QuerySet[SagaRun]:
    """Return the runs that go no step further before a person resumes them."""
    return SagaRun.objects.filter(status=RunStatus.RUNNING, paused_at__isnull=False)


@dataclass(frozen=True, slots=True)
class NewestRun:
    """Where the newest run of a subject stands, in a few words for a list."""

    is_live: bool
    is_going_back: bool
    step: str
    attempts: int
    error: str
    needs_attention: bool
    attention_reason: str
    paused_at: datetime | None


def newest_runs(subject_ids: Iterable[UUID]) -> dict[UUID, NewestRun]:
    """Return where the newest run of each subject stands, in one query."""
    runs = _with_last_attempt(SagaRun.objects.filter(subject_id__in=list(subject_ids)))
    return {
        each.subject_id: NewestRun(
            is_live=each.is_live,
            is_going_back=each.status == RunStatus.COMPENSATING,
            step=each.step or each.last_step or "",
            attempts=each.made,
            error=each.last_error or "",
            needs_attention=each.needs_attention,
            attention_reason=each.attention_reason,
            paused_at=each.paused_at,
        )
        for each in runs.order_by("created_at")
    }


def subjects_at(step: str) -> QuerySet[SagaRun, UUID]:
    """Return the subjects whose live run stands at ``step``; those on their way back for ""."""
    if not step:
        return _live().filter(status=RunStatus.COMPENSATING).values_list("subject_id", flat=True)
    return _live().filter(status=RunStatus.RUNNING, step=step).values_list("subject_id", flat=True)


def subjects_after(attempts: int, at_most: int | None = None) -> QuerySet[SagaRun, UUID]:
    """Return the subjects whose live run has made so many attempts at what it is doing now."""
    tried = _with_last_attempt(_live()).filter(made__gte=attempts)
    if at_most is not None:
        tried = tried.filter(made__lte=at_most)
    return tried.values_list("subject_id", flat=True)


def subjects_with_error(error: str) -> QuerySet[SagaRun, UUID]:
    """Return the subjects whose live run had this error in its last attempt."""
    failed = _with_last_attempt(_live()).filter(last_error=error)
    return failed.values_list("subject_id", flat=True)


def errors_now(at_most: int = 50) -> list[str]:
    """Return the errors that live runs had in their last attempts, by name."""
    failed = _with_last_attempt(_live()).filter(last_error__gt="")
    return list(
        failed.values_list("last_error", flat=True).distinct().order_by("last_error")[:at_most]
    )


def step_names() -> list[str]:
    """Return the names of all steps that a run may stand at."""
    return list(dict.fromkeys(step.name for saga in registry.all_sagas() for step in saga.steps))


def _live() -> QuerySet[SagaRun]:
    return SagaRun.objects.filter(status__in=LIVE)


def _with_last_attempt(runs: QuerySet[SagaRun]) -> QuerySet[Any]:
    """Tell what each run's last attempt came to, and how many it ``made`` at what it does now.

    On the way forward the run counts them; on the way back each undo has a number of its own.
    """
    last = StepAttempt.objects.filter(run=OuterRef("pk")).order_by("-fence")
    return runs.annotate(
        last_step=Subquery(last.values("step")[:1]),
        last_error=Subquery(last.values("error")[:1]),
        made=Case(
            When(status=RunStatus.RUNNING, then=F("attempts")),
            default=Coalesce(Subquery(last.values("attempt")[:1]), 0),
        ),
    )
