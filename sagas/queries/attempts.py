"""The view of an attempt, and the attempts that were made for a subject."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber

from sagas import registry
from sagas.definition import Saga
from sagas.descriptions import FailureText
from sagas.models import Direction, Outcome, StepAttempt
from sagas.queries.definitions import find_work
from sagas.work import Remote, Work


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One attempt at a step or at its compensation, as the journal has it."""

    id: int
    run_id: UUID
    name: str
    """The name of the step, or of its compensation if that was attempted."""
    work: Work | None
    """The definition of what was attempted; None if this code does not have it (any more)."""
    step: str
    direction: str
    number: int
    """1 for the first attempt at this step in this direction."""
    fence: int
    outcome: str
    error: str
    detail: str
    output: Mapping[str, Any]
    started_at: datetime
    ended_at: datetime | None
    not_before: datetime | None
    """When the compensation may be tried again; None without a back-off, and for a step."""

    @property
    def system(self) -> str:
        """The system that it called; empty for a local one and for one that this code lacks."""
        return self.work.system if isinstance(self.work, Remote) else ""

    @property
    def is_call(self) -> bool:
        """Whether it called a system; for a step that this code lacks, whether it is in flight."""
        return isinstance(self.work, Remote) or self.is_in_flight

    @property
    def is_compensating(self) -> bool:
        return self.direction == Direction.COMPENSATING

    @property
    def is_in_flight(self) -> bool:
        return self.outcome == Outcome.STARTED

    @property
    def failure(self) -> FailureText | None:
        """What staff read about its error; None unless it failed with one that the step declares."""
        if self.outcome != Outcome.FAILED or not isinstance(self.work, Remote):
            return None
        return self.work.failure_texts.get(self.error)

    @property
    def error_text(self) -> str:
        """The error and its detail; once, where both are the same."""
        if self.detail == self.error:
            return self.error
        return f"{self.error} {self.detail}".strip()

    @property
    def is_done(self) -> bool:
        """Whether the run went past the step: it was done, or proceeded without an answer."""
        return self.outcome in (Outcome.DONE, Outcome.PROCEEDED)


def attempts_for(subject_id: UUID) -> list[AttemptView]:
    """Return every attempt that any run made for a subject, in the order in which they started."""
    return [_view(attempt) for attempt in _attempts([subject_id])]


def last_attempts(
    subject_ids: Sequence[UUID], max_attempts: int
) -> Mapping[UUID, list[AttemptView]]:
    """Return the last ``max_attempts`` attempts for each subject, in the order of their start."""
    recency = Window(RowNumber(), partition_by=F("run__subject_id"), order_by=F("pk").desc())
    found: defaultdict[UUID, list[AttemptView]] = defaultdict(list)
    attempts = _attempts(subject_ids).annotate(recency=recency).filter(recency__lte=max_attempts)
    for attempt in attempts:
        found[attempt.run.subject_id].append(_view(attempt))
    return found


def name_and_work(saga: Saga | None, step: str, direction: str) -> tuple[str, Work | None]:
    """Return the name and the definition of a step's action or, by direction, its compensation.

    For a step that ``saga`` does not have (any more), returns a name made from the step's, and None.
    """
    is_compensating = direction == Direction.COMPENSATING
    known = next((known for known in saga.steps if known.name == step), None) if saga else None
    if known is None:
        return (f"compensation of {step}" if is_compensating else step), None
    if is_compensating:
        return known.compensation_name, known.compensating_action
    return known.name, known.action


def attempt_view(attempt: StepAttempt, saga: Saga | None) -> AttemptView:
    """Return the view of a row whose run is of ``saga``; None if this code does not have it."""
    name, work = name_and_work(saga, attempt.step, attempt.direction)
    return AttemptView(
        id=attempt.pk,
        run_id=attempt.run_id,
        name=name,
        work=work or find_work(name),
        step=attempt.step,
        direction=attempt.direction,
        number=attempt.number,
        fence=attempt.fence,
        outcome=attempt.outcome,
        error=attempt.error,
        detail=attempt.detail,
        output=attempt.output,
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
        not_before=attempt.not_before,
    )


def _attempts(subject_ids: Sequence[UUID]) -> QuerySet[StepAttempt]:
    rows = StepAttempt.objects.filter(run__subject_id__in=subject_ids)
    return rows.select_related("run").order_by("pk")


def _view(attempt: StepAttempt) -> AttemptView:
    return attempt_view(attempt, registry.find(attempt.run.saga, attempt.run.version))
