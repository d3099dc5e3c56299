"""What may be read of the journal: the attempts made for a subject, the wishes, what needs a person."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber

from sagas import registry
from sagas.errors import UnknownSaga, UnknownStep
from sagas.models import LIVE, Direction, SagaRun, StepRecord


@dataclass(frozen=True, slots=True)
class AttemptMade:
    """One attempt from the journal, under the name of what was tried."""

    name: str
    number: int
    outcome: str
    error: str
    detail: str
    started_at: datetime
    ended_at: datetime | None


def attempts_for(subject_id: UUID) -> list[AttemptMade]:
    """Return every attempt that any run made for a subject, in the order in which they began."""
    return [_made(each) for each in _attempts([subject_id])]


def last_attempts(subject_ids: Sequence[UUID], most: int) -> Mapping[UUID, list[AttemptMade]]:
    """Return at ``most`` the last attempts for each subject, in the order in which they began."""
    recency = Window(RowNumber(), partition_by=F("run__subject_id"), order_by=F("pk").desc())
    found: defaultdict[UUID, list[AttemptMade]] = defaultdict(list)
    for each in _attempts(subject_ids).annotate(recency=recency).filter(recency__lte=most):
        found[each.run.subject_id].append(_made(each))
    return found


def _attempts(subject_ids: Sequence[UUID]) -> QuerySet[StepRecord]:
    records = StepRecord.objects.filter(run__subject_id__in=subject_ids)
    return records.select_related("run").order_by("pk")


def _made(record: StepRecord) -> AttemptMade:
    return AttemptMade(
        name=_name(record),
        number=record.attempt,
        outcome=record.outcome,
        error=record.error,
        detail=record.detail,
        started_at=record.started_at,
        ended_at=record.ended_at,
    )


@dataclass(frozen=True, slots=True)
class Wish:
    """That somebody asked for a run to turn back."""

    at: datetime
    reason: str
    actor: str


def wishes_to_turn_back(subject_ids: Sequence[UUID]) -> Mapping[UUID, list[Wish]]:
    """Return the wishes that were written down for each subject's runs, oldest first."""
    asked = SagaRun.objects.filter(
        subject_id__in=subject_ids, turn_back_requested_at__isnull=False
    ).order_by("turn_back_requested_at")
    found: defaultdict[UUID, list[Wish]] = defaultdict(list)
    columns = ("subject_id", "turn_back_requested_at", "reason", "actor")
    for subject_id, at, reason, actor in asked.values_list(*columns):
        if at is not None:
            found[subject_id].append(Wish(at, reason, actor))
    return found


def count_live() -> int:
    """Return how many runs have not ended."""
    return SagaRun.objects.filter(status__in=LIVE).count()


def flagged_runs() -> QuerySet[SagaRun]:
    """Return the runs that wait for a person to look."""
    return SagaRun.objects.filter(needs_attention=True)


def frozen_runs() -> QuerySet[SagaRun]:
    """Return the runs that go no step further before a person thaws them."""
    return SagaRun.objects.filter(frozen_at__isnull=False)


def _name(record: StepRecord) -> str:
    """What was tried: the step, or its compensation; without the definition its bare name."""
    if record.direction == Direction.FORWARD:
        return record.step
    try:
        return registry.get(record.run.saga, record.run.version).step(record.step).undo_name
    except (UnknownSaga, UnknownStep):
        return f"undo of {record.step}"
