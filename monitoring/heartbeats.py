"""Heartbeats: small tasks that beat sends through every queue, and the health of queues.

A stored heartbeat shows that beat, the broker, the queue, the worker and its database connection
worked at that time.
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
"""A queue without a heartbeat for this long counts as silent. One or two may be late or lost."""

FORGOTTEN_AFTER: Final = timedelta(days=1)
"""Heartbeats of workers that have gone are deleted after this time."""


@dataclass(frozen=True, slots=True)
class WorkerHealth:
    """One worker of a queue. If a queue has several, each takes only some of the heartbeats."""

    name: str
    silent_for: timedelta


@dataclass(frozen=True, slots=True)
class QueueHealth:
    """The state of one queue, from the database alone.

    ``silent_for`` is the time since a worker took a heartbeat from it; None if none is stored.
    ``lag`` is how long that heartbeat had waited on the queue.
    """

    name: str
    silent_for: timedelta | None
    lag: timedelta | None
    workers: tuple[WorkerHealth, ...]  # the one with the latest heartbeat first
    waiting: int  # runs that are due, have no worker, and continue on this queue

    @property
    def is_served(self) -> bool:
        return self.silent_for is not None and self.silent_for < SILENT_AFTER


def record(queue: str, worker: str, sent_at: datetime) -> None:
    """Store a heartbeat, unless a later one of this worker and queue is already stored."""
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
    """Return the health of every queue, in the order of the settings."""
    names = [queue.name for queue in settings.CELERY_TASK_QUEUES]
    heartbeats = defaultdict(list)
    for heartbeat in WorkerHeartbeat.objects.order_by("-taken_at"):
        heartbeats[heartbeat.queue].append(heartbeat)
    waiting: dict[str, int] = defaultdict(int)
    for runs in live_runs():
        waiting[runs.queue] += runs.due
    now = timezone.now()
    return [_health(name, heartbeats[name], waiting[name], now) for name in names]


def silence(queue: str, worker: str = "") -> timedelta | None:
    """Return the time since the last heartbeat of a queue, or of one of its workers; None without one."""
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
        workers=tuple(
            WorkerHealth(heartbeat.worker, _since(heartbeat.taken_at, now))
            for heartbeat in heartbeats
        ),
        waiting=waiting,
    )


def _since(before: datetime, after: datetime) -> timedelta:
    """Return the time between; 0 if the clocks of two hosts disagree on the order."""
    return max(after - before, timedelta())
