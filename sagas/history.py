"""What may be read of the journal: the attempts made for a subject, the wishes, what needs a person."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

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
    records = StepRecord.objects.filter(run__subject_id=subject_id).select_related("run")
    return [
        AttemptMade(
            name=_name(each),
            number=each.attempt,
            outcome=each.outcome,
            error=each.error,
            detail=each.detail,
            started_at=each.started_at,
            ended_at=each.ended_at,
        )
        for each in records.order_by("pk")
    ]


@dataclass(frozen=True, slots=True)
class Wish:
    """That somebody asked for a run to turn back."""

    at: datetime
    reason: str
    actor: str


def wishes_to_turn_back(subject_id: UUID) -> list[Wish]:
    """Return the wishes that were written down for a subject's runs, oldest first."""
    asked = SagaRun.objects.filter(subject_id=subject_id, turn_back_requested_at__isnull=False)
    columns = asked.order_by("turn_back_requested_at").values_list(
        "turn_back_requested_at", "reason", "actor"
    )
    return [Wish(at, reason, actor) for at, reason, actor in columns if at is not None]


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
