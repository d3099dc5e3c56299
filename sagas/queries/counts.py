"""What can be counted of the journal: live runs, flagged and paused ones, recent outcomes.

Each is one statement over an index, independent of the journal's size. Those about runs that move do
not depend on the number of runs that wait either: a run that moves wakes within MOVES_WITHIN.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Min, Q, QuerySet
from django.db.models.functions import TruncMinute

from clock.now import Now
from sagas import registry
from sagas.dispatch import remaining_links
from sagas.errors import UnknownSaga, UnknownStep
from sagas.models import LIVE, MOVES_WITHIN, Direction, LastSweep, Outcome, SagaRun, StepAttempt
from sagas.queries.attempts import name_and_work
from sagas.queries.subjects import flagged_runs, paused_runs
from sagas.queries.waits import escalated_runs


@dataclass(frozen=True, slots=True)
class LiveRuns:
    """The runs of one saga that have not ended, do not wait, and are at the same step."""

    saga: str
    version: int
    status: str  # running, compensating
    step: str  # empty while they compensate
    runs: int
    due: int  # of these: no back-off is left, and no worker holds them
    overdue: int  # of these: the sweep should have queued them by now
    oldest_at: datetime | None  # when the oldest that is not paused was started
    overdue_since: datetime | None  # the earliest time to wake that has passed
    queue: str  # of their next link; empty if this code does not have it


@dataclass(frozen=True, slots=True)
class FlaggedCounts:
    """How many live runs need a person."""

    flagged: int
    paused: int


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """How many attempts at one step, or its compensation, ended in one way."""

    name: str  # of the step, or of its compensation
    outcome: str
    attempts: int
    last_at: datetime  # when the latest of them started


@dataclass(frozen=True, slots=True)
class WaitingRuns:
    """The runs that wait for the same thing."""

    waits_for: str  # the name of a wait step, or the code of a pending call
    runs: int
    oldest_since: datetime
    overdue: int  # of these: past their deadline, also if they were given a later one


def live_runs() -> list[LiveRuns]:
    """Count the runs that move, by saga, version, status and step."""
    is_unleased = Q(leased_until__isnull=True) | Q(leased_until__lte=Now())
    is_due = Q(not_before__isnull=True) | Q(not_before__lte=Now())
    is_moving = Q(paused_at__isnull=True)
    is_overdue = Q(wake_at__lte=Now())
    rows = (
        moving()
        .values("saga", "version", "status", "step")
        .annotate(
            runs=Count("pk"),
            due=Count("pk", filter=is_unleased & is_due & is_moving),
            overdue=Count("pk", filter=is_overdue),
            oldest_at=Min("created_at", filter=is_moving),
            overdue_since=Min("wake_at", filter=is_overdue),
        )
        .order_by("saga", "version", "status", "step")
    )
    return [LiveRuns(**row, queue=_queue(row)) for row in rows]


def moving() -> QuerySet[SagaRun]:
    """Return the runs that have not ended and do not wait."""
    return SagaRun.objects.filter(status__in=LIVE, waits_for="", wake_at__lte=Now() + MOVES_WITHIN)


def waiting_runs() -> list[WaitingRuns]:
    """Count the runs that wait, by what they wait for, in two statements over indexes.

    The first reads the index of all of them. The second reads those that were given a later deadline.
    """
    escalated = dict(
        escalated_runs()
        .filter(waiting_until__gt=Now())
        .values_list("waits_for")
        .annotate(runs=Count("pk"))
    )
    rows = (
        SagaRun.objects.exclude(waits_for="")
        .values("waits_for")
        .annotate(
            runs=Count("pk"),
            oldest_since=Min("waiting_since"),
            overdue=Count("pk", filter=Q(waiting_until__lte=Now())),
        )
        .order_by("waits_for")
    )
    counted = [WaitingRuns(**row) for row in rows]
    return [
        replace(found, overdue=found.overdue + escalated.get(found.waits_for, 0))
        for found in counted
    ]


def count_live() -> int:
    """Return how many runs have not ended. It reads the index of all of them."""
    return SagaRun.objects.filter(status__in=LIVE).count()


def count_moving() -> int:
    """Return how many runs have not ended and do not wait."""
    return moving().count()


def count_flagged() -> FlaggedCounts:
    """Count the live runs that need a person, in two statements."""
    return FlaggedCounts(flagged=flagged_runs().count(), paused=paused_runs().count())


def outcomes_within(window: timedelta) -> list[OutcomeCount]:
    """Count the attempts that started within ``window``, by step, direction and outcome."""
    rows = (
        StepAttempt.objects.filter(started_at__gte=Now() - window)
        .values_list("step", "direction", "outcome")
        .annotate(attempts=Count("pk"), last_at=Max("started_at"))
        .order_by("step", "direction", "outcome")
    )
    return [
        OutcomeCount(_attempted_name(step, direction), *counted)
        for step, direction, *counted in rows
    ]


def done_each_minute(step: str, window: timedelta) -> dict[datetime, int]:
    """Count how often ``step`` was done within ``window``, by minute; a minute without any is absent."""
    done = StepAttempt.objects.filter(
        started_at__gte=Now() - window,
        step=step,
        direction=Direction.FORWARD,
        outcome=Outcome.DONE,
    )
    rows = done.annotate(minute=TruncMinute("started_at")).values_list("minute")
    return dict(rows.annotate(times=Count("pk")).order_by("minute"))


def oldest_moving() -> SagaRun | None:
    """Return the run that moves and was started first; None without one."""
    return moving().order_by("created_at").first()


def last_sweeps() -> dict[str, LastSweep]:
    """Return the last sweep of each source: beat, watch, command."""
    return LastSweep.objects.in_bulk()


def _queue(row: Mapping[str, Any]) -> str:
    names = ("saga", "version", "status", "step")
    try:
        links = remaining_links(SagaRun(**{name: row[name] for name in names}))
    except (UnknownSaga, UnknownStep):
        return ""
    return links[0].queue if links else ""


def _attempted_name(step: str, direction: str) -> str:
    """Return the name of the step, or of its compensation, in the first saga that has the step."""
    sagas = (saga for saga in registry.all_sagas() if step in {known.name for known in saga.steps})
    name, _ = name_and_work(next(sagas, None), step, direction)
    return name
