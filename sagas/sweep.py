"""The sweep: finds every live run that nobody carries, and puts it back on the queue.

It needs no memory of its own. A run whose message was lost, whose worker died, whose back-off is
over or whose very first message never left has a ``wake_at`` in the past, and that is all.
"""

import logging
from datetime import timedelta
from enum import StrEnum

from django.db import connection, transaction
from django.db.models.functions import Now

from sagas.bulk_sql import Update, write
from sagas.dispatch import dispatch
from sagas.errors import UnknownSaga, UnknownStep
from sagas.metrics import REDISPATCHED
from sagas.models import LIVE, SagaRun

log = logging.getLogger(__name__)

FIRST_DELAY = timedelta(seconds=5)
LONGEST_DELAY = timedelta(seconds=60)
"""The delay to the next look doubles up to this, so that a backlog is not flooded with doubles."""

ATTENTION_AFTER = 10
"""Re-dispatches without progress: some six minutes in which no worker got anywhere."""

MOST_NAMED = 50
"""In the line about a sweep: after an outage there are hundreds at a time."""

MOST_COUNTED = 1000
"""Where counting re-dispatches ends: a run that nobody can carry is swept for ever."""


class SweepSource(StrEnum):
    """Who sweeps."""

    BEAT = "beat"
    WATCH = "watch"
    COMMAND = "command"


def sweep(source: SweepSource = SweepSource.COMMAND, *, limit: int = 500) -> int:
    """Queue up to ``limit`` overdue runs, and return how many.

    The re-dispatch is counted in a commit of its own before the message leaves, so a run that
    kills its workers is not handed out faster and faster. Any number of sweeps may run at once:
    each skips the rows that another one holds. That ``source`` has looked commits with it.
    """
    with transaction.atomic():
        runs = list(
            SagaRun.objects.select_for_update(skip_locked=True, no_key=True)
            .filter(status__in=LIVE, wake_at__lte=Now())
            .annotate(swept_at=Now())
            .order_by("wake_at")[:limit]
        )
        for run in runs:
            run.redispatch_count = min(run.redispatch_count + 1, MOST_COUNTED)
            doublings = min(run.redispatch_count - 1, 10)
            run.wake_at = run.swept_at + min(FIRST_DELAY * 2**doublings, LONGEST_DELAY)
            if run.redispatch_count >= ATTENTION_AFTER:
                _flag(run, f"queued {run.redispatch_count} times without progress")
            try:
                dispatch(run)
            except (UnknownSaga, UnknownStep) as error:
                _flag(run, f"this code cannot advance it: {error}")
        write(Update(runs, ["redispatch_count", "wake_at", "needs_attention", "attention_reason"]))
        _note(source, len(runs))
    REDISPATCHED.labels(source).inc(len(runs))
    if runs:
        told = [str(each.correlation_id) for each in runs[:MOST_NAMED]]
        log.info(
            "sweep.queued",
            extra={"runs": len(runs), "source": str(source), "correlation_ids": told},
        )
    return len(runs)


def _note(source: SweepSource, queued: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO sagas_lastsweep (source, at, queued) VALUES (%s, clock_timestamp(), %s)
            ON CONFLICT (source) DO UPDATE SET at = excluded.at, queued = excluded.queued
            """,
            [source, queued],
        )


def _flag(run: SagaRun, reason: str) -> None:
    run.needs_attention = True
    run.attention_reason = run.attention_reason or reason
