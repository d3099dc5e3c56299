"""What may be counted of the journal: what is under way, what waits, what came of it lately.

Each is one statement over an index, whatever the history weighs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Min, Q
from django.db.models.functions import Now, TruncMinute

from sagas import registry
from sagas.definition import Remote
from sagas.dispatch import remaining_links
from sagas.errors import UnknownSaga, UnknownStep
from sagas.journal import work_attempted
from sagas.models import LIVE, Direction, LastSweep, Outcome, RunStatus, SagaRun, StepAttempt


@dataclass(frozen=True, slots=True)
class LiveRuns:
    """The runs of one saga that have not ended and stand at the same step."""

    saga: str
    version: int
    status: str  # running, compensating
    step: str  # empty on the way back
    runs: int
    waiting: int  # of these: due, and carried by nobody
    overdue: int  # of these: the sweep should have seen them by now
    oldest_at: datetime | None  # when the oldest was started, of those that are not paused
    overdue_since: datetime | None  # the earliest time to wake that has passed
    queue: str  # whose worker is to carry them next; empty if this code cannot carry them


@dataclass(frozen=True, slots=True)
class FlaggedCounts:
    """How many runs wait for a person."""

    flagged: int
    paused: int


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How many attempts at one step, or its compensation, ended in one way."""

    name: str  # of the step, or of its compensation
    is_remote: bool  # it asked the bank
    outcome: str
    attempts: int
    last_at: datetime  # when the latest of them began


def live_runs() -> list[LiveRuns]:
    """Count the runs that have not ended, by saga, direction and step."""
    is_unleased = Q(leased_until__isnull=True) | Q(leased_until__lte=Now())
    is_due = Q(not_before__isnull=True) | Q(not_before__lte=Now())
    is_moving = Q(paused_at__isnull=True)
    is_overdue = Q(wake_at__lte=Now())
    rows = (
        SagaRun.objects.filter(status__in=LIVE)
        .values("saga", "version", "status", "step")
        .annotate(
            runs=Count("pk"),
            waiting=Count("pk", filter=is_unleased & is_due & is_moving),
            overdue=Count("pk", filter=is_overdue),
            oldest_at=Min("created_at", filter=is_moving),
            overdue_since=Min("wake_at", filter=is_overdue),
        )
        .order_by("saga", "version", "status", "step")
    )
    return [LiveRuns(**row, queue=_queue(row)) for row in rows]


def count_flagged() -> FlaggedCounts:
    """Count the live runs that wait for a person."""
    flagged = SagaRun.objects.filter(status__in=LIVE, needs_attention=True)
    paused = SagaRun.objects.filter(status=RunStatus.RUNNING, paused_at__isnull=False)
    return FlaggedCounts(flagged=flagged.count(), paused=paused.count())


def outcomes_within(window: timedelta) -> list[Outcomes]:
    """Count what came of the attempts that began within ``window``, by step and outcome."""
    rows = (
        StepAttempt.objects.filter(started_at__gte=Now() - window)
        .values_list("step", "direction", "outcome")
        .annotate(attempts=Count("pk"), last_at=Max("started_at"))
        .order_by("step", "direction", "outcome")
    )
    return [
        Outcomes(*_what_was_tried(step, direction), *counted) for step, direction, *counted in rows
    ]


def done_each_minute(step: str, window: timedelta) -> dict[datetime, int]:
    """Count how often ``step`` was done within ``window``, by the minute; those without are left out."""
    done = StepAttempt.objects.filter(
        started_at__gte=Now() - window,
        step=step,
        direction=Direction.FORWARD,
        outcome=Outcome.DONE,
    )
    rows = done.annotate(minute=TruncMinute("started_at")).values_list("minute")
    return dict(rows.annotate(times=Count("pk")).order_by("minute"))


def oldest_live() -> SagaRun | None:
    """Return the run that has been under way for longest."""
    return SagaRun.objects.filter(status__in=LIVE).order_by("created_at").first()


def last_sweeps() -> dict[str, LastSweep]:
    """Return the latest sweep of each of those who sweep: beat, watch, by hand."""
    return LastSweep.objects.in_bulk()


def _queue(row: Mapping[str, Any]) -> str:
    names = ("saga", "version", "status", "step")
    try:
        links = remaining_links(SagaRun(**{name: row[name] for name in names}))
    except (UnknownSaga, UnknownStep):
        return ""
    return links[0].queue if links else ""


def _what_was_tried(step: str, direction: str) -> tuple[str, bool]:
    """Return the name of what was tried, and whether it is a call."""
    having = (each for each in registry.all_sagas() if step in {one.name for one in each.steps})
    name, work = work_attempted(next(having, None), step, direction)
    return name, isinstance(work, Remote)
