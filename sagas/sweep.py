"""The sweep: finds every live run that no worker advances, and queues it again.

It keeps no state of its own. A run has a ``wake_at`` in the past when its message was lost or never
sent, or its worker died. So has one whose back-off is over, or whose wait is past its deadline.
"""

import logging
from datetime import timedelta
from enum import StrEnum

from django.db import connection, transaction

from bulk_sql.statements import Update, write
from clock.now import Now
from sagas.dispatch import dispatch
from sagas.errors import UnknownSaga, UnknownStep
from sagas.metrics import REDISPATCHED
from sagas.models import LIVE, SagaRun

log = logging.getLogger(__name__)

FIRST_DELAY = timedelta(seconds=5)
LONGEST_DELAY = timedelta(seconds=60)
"""The delay to the next sweep of a run doubles up to this, so that a backlog gets few duplicates."""

ATTENTION_AFTER_REDISPATCHES = 10
"""After this many re-dispatches without progress the run is flagged: about six minutes."""

MAX_LOGGED = 50
"""Correlation ids in the log line about a sweep: after an outage a sweep has hundreds of runs."""

MAX_REDISPATCH_COUNT = 1000
"""The limit of the counter: a run that no worker can advance is swept without end."""


class SweepSource(StrEnum):
    """What started a sweep."""

    BEAT = "beat"
    WATCH = "watch"
    COMMAND = "command"


def sweep(source: SweepSource = SweepSource.COMMAND, *, limit: int = 500) -> int:
    """Queue up to ``limit`` overdue runs, and return how many.

    The re-dispatch is counted and committed before the message leaves. So the delay doubles even for
    a run that kills its workers. Any number of sweeps may run at once: each skips the rows that
    another one has locked. The time of the sweep is saved for ``source`` in the same commit.
    """
    with transaction.atomic():
        _read_in_the_order_of_the_index()
        runs = list(
            SagaRun.objects.select_for_update(skip_locked=True, no_key=True)
            .filter(status__in=LIVE, wake_at__lte=Now())
            .annotate(swept_at=Now())
            .order_by("wake_at")[:limit]
        )
        for run in runs:
            run.redispatch_count = min(run.redispatch_count + 1, MAX_REDISPATCH_COUNT)
            doublings = min(run.redispatch_count - 1, 10)
            run.wake_at = run.swept_at + min(FIRST_DELAY * 2**doublings, LONGEST_DELAY)
            if run.redispatch_count >= ATTENTION_AFTER_REDISPATCHES:
                _flag(run, f"queued {run.redispatch_count} times without progress")
            try:
                dispatch(run)
            except (UnknownSaga, UnknownStep) as error:
                _flag(run, f"this code cannot advance it: {error}")
        write(Update(runs, ["redispatch_count", "wake_at", "needs_attention", "attention_reason"]))
        _save_sweep(source, len(runs))
    REDISPATCHED.labels(source).inc(len(runs))
    if runs:
        correlation_ids = [str(run.correlation_id) for run in runs[:MAX_LOGGED]]
        log.info(
            "sweep.queued",
            extra={"runs": len(runs), "source": str(source), "correlation_ids": correlation_ids},
        )
    return len(runs)


def _read_in_the_order_of_the_index() -> None:
    """Have PostgreSQL read due runs only, by the index on ``wake_at``, in this transaction.

    If its statistics are from a time with few live runs, it would rather read and sort all of them.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_sort = off")


def _save_sweep(source: SweepSource, queued: int) -> None:
    """Save the time of the sweep. One that found nothing is saved every few seconds only."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO sagas_lastsweep (source, at, queued)
            SELECT new.source, clock_timestamp(), new.queued
            FROM (VALUES (%s::text, %s::int)) AS new (source, queued)
            WHERE new.queued > 0 OR NOT EXISTS (
                SELECT FROM sagas_lastsweep last
                WHERE last.source = new.source AND last.at > clock_timestamp() - interval '2 s')
            ON CONFLICT (source) DO UPDATE SET at = excluded.at, queued = excluded.queued
            """,
            [source, queued],
        )


def _flag(run: SagaRun, reason: str) -> None:
    run.needs_attention = True
    run.attention_reason = run.attention_reason or reason
