"""What lists and searches ask about many subjects: their newest runs, requests, steps and errors."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Case, F, OuterRef, Q, QuerySet, Subquery, When
from django.db.models.functions import Coalesce

from sagas import registry
from sagas.models import LIVE, RunStatus, SagaRun, StepAttempt


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The newest run of a subject, as a list shows it."""

    is_live: bool
    is_compensating: bool
    step: str
    attempt_count: int
    """Of the attempts at what the run does now."""
    last_error: str
    needs_attention: bool
    attention_reason: str
    paused_at: datetime | None


def newest_runs(subject_ids: Iterable[UUID]) -> dict[UUID, RunSummary]:
    """Return the newest run of each subject that has one, in one query."""
    runs = _with_last_attempt(SagaRun.objects.filter(subject_id__in=list(subject_ids)))
    return {
        run.subject_id: RunSummary(
            is_live=run.is_live,
            is_compensating=run.status == RunStatus.COMPENSATING,
            step=run.step or run.last_step or "",
            attempt_count=run.current_attempt_count,
            last_error=run.last_error or "",
            needs_attention=run.needs_attention,
            attention_reason=run.attention_reason,
            paused_at=run.paused_at,
        )
        for run in runs.order_by("created_at")
    }


@dataclass(frozen=True, slots=True)
class CompensationRequested:
    """A person requested that a run compensates."""

    at: datetime
    reason: str
    actor: str


def compensation_requests(
    subject_ids: Sequence[UUID],
) -> Mapping[UUID, list[CompensationRequested]]:
    """Return the requests to compensate each subject's runs, oldest first."""
    requested = SagaRun.objects.filter(
        subject_id__in=subject_ids, compensation_requested_at__isnull=False
    ).order_by("compensation_requested_at")
    found: defaultdict[UUID, list[CompensationRequested]] = defaultdict(list)
    columns = ("subject_id", "compensation_requested_at", "reason", "actor")
    for subject_id, at, reason, actor in requested.values_list(*columns):
        if at is not None:
            found[subject_id].append(CompensationRequested(at, reason, actor))
    return found


def cancel_requested_at(subject_id: str) -> Subquery:
    """Return an annotation: when it was first requested to compensate for a subject.

    Either its run was requested to compensate, or a run of a ``compensating_only`` saga started.
    ``subject_id`` names the field with the subject's id.
    """
    compensating_only = [saga.name for saga in registry.all_sagas() if saga.compensating_only]
    requested = SagaRun.objects.filter(
        Q(compensation_requested_at__isnull=False) | Q(saga__in=compensating_only),
        subject_id=OuterRef(subject_id),
    )
    moments = requested.annotate(
        requested_at=Coalesce("compensation_requested_at", "created_at")
    ).order_by("requested_at")
    return Subquery(moments.values("requested_at")[:1])


def subject_of(run_id: UUID) -> UUID | None:
    """Return the subject of a run; None if the run does not exist."""
    return SagaRun.objects.filter(pk=run_id).values_list("subject_id", flat=True).first()


def flagged_runs() -> QuerySet[SagaRun]:
    """Return the live runs that need a person's attention."""
    return _live().filter(needs_attention=True)


def paused_runs() -> QuerySet[SagaRun]:
    """Return the runs that take no further step before a person resumes them."""
    return SagaRun.objects.filter(status=RunStatus.RUNNING, paused_at__isnull=False)


def subjects_at(step: str) -> QuerySet[SagaRun, UUID]:
    """Return the subjects whose live run is at ``step``; for "", those that are compensated."""
    if not step:
        return _live().filter(status=RunStatus.COMPENSATING).values_list("subject_id", flat=True)
    return _live().filter(status=RunStatus.RUNNING, step=step).values_list("subject_id", flat=True)


def subjects_after(at_least: int, at_most: int | None = None) -> QuerySet[SagaRun, UUID]:
    """Return the subjects whose live run has made so many attempts at what it does now."""
    runs = _with_last_attempt(_live()).filter(current_attempt_count__gte=at_least)
    if at_most is not None:
        runs = runs.filter(current_attempt_count__lte=at_most)
    return runs.values_list("subject_id", flat=True)


def subjects_with_error(error: str) -> QuerySet[SagaRun, UUID]:
    """Return the subjects whose live run had this error in its last attempt."""
    failed = _with_last_attempt(_live()).filter(last_error=error)
    return failed.values_list("subject_id", flat=True)


def current_errors(limit: int = 50) -> list[str]:
    """Return the names of the errors in the last attempts of live runs, in alphabetical order."""
    failed = _with_last_attempt(_live()).filter(last_error__gt="")
    return list(
        failed.values_list("last_error", flat=True).distinct().order_by("last_error")[:limit]
    )


def step_names() -> list[str]:
    """Return the names of all steps that a run may be at."""
    return list(dict.fromkeys(step.name for saga in registry.all_sagas() for step in saga.steps))


def _live() -> QuerySet[SagaRun]:
    return SagaRun.objects.filter(status__in=LIVE)


def _with_last_attempt(runs: QuerySet[SagaRun]) -> QuerySet[Any]:
    """Annotate each run with its last attempt, and with the attempts at what it does now.

    A running run counts the attempts at its step itself. A compensating one has a number of
    attempts for each compensation; that of the last one counts.
    """
    last = StepAttempt.objects.filter(run=OuterRef("pk")).order_by("-fence")
    return runs.annotate(
        last_step=Subquery(last.values("step")[:1]),
        last_error=Subquery(last.values("error")[:1]),
        current_attempt_count=Case(
            When(status=RunStatus.RUNNING, then=F("attempt_count")),
            default=Coalesce(Subquery(last.values("number")[:1]), 0),
        ),
    )
