"""Pulses: what beat sends through every queue, and what is known of the queues from it.

A heartbeat that a worker wrote down shows that beat, the broker, the queue, the worker and its
connection to the database all work, at that moment.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from monitoring.models import WorkerHeartbeat
from sagas.queries.counts import live_runs

EVERY: Final = timedelta(seconds=15)

SILENT_AFTER: Final = 3 * EVERY
"""A queue that carried no heartbeat for so long stands still: one or two may be late or lost."""

FORGOTTEN_AFTER: Final = timedelta(days=1)
"""Workers that are no more are shown for so long."""


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    """One worker of a queue. Of several, each takes only some of the heartbeats."""

    name: str
    silent_for: timedelta


@dataclass(frozen=True, slots=True)
class QueueHealth:
    """What is known of one queue, from the database alone."""

    name: str
    silent_for: (
        timedelta | None
    )  # since a worker last took a heartbeat from it; None: not for a day
    lag: timedelta | None  # how long that heartbeat had waited on the queue
    workers: tuple[WorkerSeen, ...]  # the latest heard first
    waiting: int  # runs that are due, carried by nobody, and next on this queue

    @property
    def is_served(self) -> bool:
        return self.silent_for is not None and self.silent_for < SILENT_AFTER


def record(queue: str, worker: str, sent_at: datetime) -> None:
    """Write a heartbeat down. One that was overtaken by a later one changes nothing."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO monitoring_workerheartbeat AS known (queue, worker, sent_at, taken_at)
            VALUES (%s, %s, %s, statement_timestamp())
            ON CONFLICT (queue, worker) DO UPDATE
            SET sent_at = excluded.sent_at, taken_at = excluded.taken_at
            WHERE known.sent_at <= excluded.sent_at
            """,
            [queue, worker, sent_at],
        )
    WorkerHeartbeat.objects.filter(queue=queue, taken_at__lt=Now() - FORGOTTEN_AFTER).delete()


def queues() -> list[QueueHealth]:
    """Return the health of every queue, in the order in which the settings name them."""
    names = [each.name for each in settings.CELERY_TASK_QUEUES]
    heartbeats = defaultdict(list)
    for heartbeat in WorkerHeartbeat.objects.order_by("-taken_at"):
        heartbeats[heartbeat.queue].append(heartbeat)
    waiting: dict[str, int] = defaultdict(int)
    for runs in live_runs():
        waiting[runs.queue] += runs.waiting
    now = timezone.now()
    return [_health(name, heartbeats[name], waiting[name], now) for name in names]


def silence(queue: str, worker: str = "") -> timedelta | None:
    """Return how long ago a heartbeat came through a queue, to this worker if one is named; or None."""
    heartbeats = WorkerHeartbeat.objects.filter(
        queue=queue, **({"worker": worker} if worker else {})
    )
    latest = heartbeats.order_by("-taken_at").first()
    return _since(latest.taken_at, timezone.now()) if latest else None


def _health(
    name: str, heartbeats: list[WorkerHeartbeat], waiting: int, now: datetime
) -> QueueHealth:
    latest = heartbeats[0] if heartbeats else None
    return QueueHealth(
        name=name,
        silent_for=_since(latest.taken_at, now) if latest else None,
        lag=_since(latest.sent_at, latest.taken_at) if latest else None,
        workers=tuple(WorkerSeen(each.worker, _since(each.taken_at, now)) for each in heartbeats),
        waiting=waiting,
    )


def _since(before: datetime, after: datetime) -> timedelta:
    """Return the time between; the clocks of two hosts may disagree about what came first."""
    return max(after - before, timedelta())
