"""Gauges read from the database: the same on every host, and correct after a restart."""

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from django.db import Error, connection
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from approvals.services import count_open
from clock.now import now as clock_time
from events.relay.lag import lags
from invariants.break_store import count_open_breaks
from invariants.catalogue import GHOST_CHARGES, INVARIANTS
from monitoring.heartbeats import queues
from monitoring.system_health import system_health
from sagas.queries.counts import count_flagged, last_sweeps, live_runs
from sagas.queries.recent_waits import recent_waits
from sagas.queries.versions import MAX_COUNTED, count_by_version
from sagas.queries.waits import wait_codes
from sagas.sweep import SweepSource

log = logging.getLogger(__name__)

CACHE_TIME: Final = timedelta(seconds=5)
"""The database is read at most this often, independent of the number of scrapes."""

OUTCOMES: Final = (
    "started", "done", "rejected", "pending", "proceeded", "transient", "unknown", "lost", "failed",
    "interrupted",
)  # fmt: skip
"""The outcomes of attempts. Each has a gauge, which is 0 if there is no such attempt."""

_DATABASE_UP: Final = "1 if the database answered this host, otherwise 0."


class DatabaseMetrics(Collector):
    """Reads the database at a scrape, and caches the result for CACHE_TIME. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._metrics: list[Metric] = []
        self._read_at = float("-inf")

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            if time.monotonic() - self._read_at >= CACHE_TIME.total_seconds():
                self._metrics = self._read()
                self._read_at = time.monotonic()
            yield from self._metrics

    def describe(self) -> list[Metric]:
        """Return nothing, so that registration does not read the database."""
        return []

    def _read(self) -> list[Metric]:
        is_up = _gauge("database_up", _DATABASE_UP, 1)
        try:
            return [
                is_up,
                *_runs(),
                _versions(),
                *_waits(),
                *_sweeps(),
                *_queues(),
                *_systems(),
                *_breaks(),
                *_approvals(),
                *_outbox(),
            ]
        except Error as error:
            log.warning("database_metrics.failed", extra={"error": type(error).__name__})
            return [_gauge("database_up", _DATABASE_UP, 0)]
        finally:
            connection.close()  # each scrape runs in its own thread


def _runs() -> Iterator[Metric]:
    live = live_runs()
    by_step = _family(
        "runs_live", "Runs that have not ended, by their current step.", "saga", "status", "step"
    )
    for runs in live:
        by_step.add_metric([runs.saga, runs.status, runs.step], runs.runs)
    yield by_step
    yield _gauge(
        "oldest_unfinished_seconds",
        "The age of the oldest unfinished run that is not paused.",
        _longest_since(runs.oldest_at for runs in live),
    )
    yield _gauge(
        "runs_overdue",
        "Runs whose wake time has passed: a sweep should have queued them.",
        sum(runs.overdue for runs in live),
    )
    yield _gauge(
        "sweep_lag_seconds",
        "How long the most overdue run has been overdue.",
        _longest_since(runs.overdue_since for runs in live),
    )
    marked = count_flagged()
    yield _gauge("runs_flagged", "Runs that need the attention of staff.", marked.flagged)
    yield _gauge("runs_paused", "Runs that start no step until staff resume them.", marked.paused)


def _versions() -> Metric:
    family = _family(
        "runs_by_version",
        f"Runs that have not ended, by version of their saga, at most {MAX_COUNTED:,} each.",
        "saga",
        "version",
    )
    for (saga, version), runs in count_by_version().items():
        family.add_metric([saga, str(version)], runs)
    return family


def _waits() -> Iterator[Metric]:
    counted = {waiting.waits_for: waiting for waiting in recent_waits.read()}
    runs = _family(
        "runs_waiting", "Runs that wait, by what they wait for; counted once a minute.", "waits_for"
    )
    overdue = _family(
        "runs_waiting_overdue",
        "Waiting runs whose deadline has passed; counted once a minute.",
        "waits_for",
    )
    for code in sorted({*wait_codes(), *counted}):
        found = counted.get(code)
        runs.add_metric([code], found.runs if found else 0)
        overdue.add_metric([code], found.overdue if found else 0)
    yield from (runs, overdue)


def _longest_since(moments: Iterable[datetime | None]) -> float:
    """Return the seconds since the earliest moment; 0 without one."""
    earliest = min((moment for moment in moments if moment is not None), default=None)
    return max((clock_time() - earliest).total_seconds(), 0) if earliest else 0


def _sweeps() -> Iterator[Metric]:
    swept = last_sweeps()
    family = _family(
        "last_sweep_timestamp_seconds",
        "The time of the last sweep; 0 before the first one.",
        "source",
    )
    for source in (SweepSource.BEAT, SweepSource.WATCH):
        at = swept[source].at.timestamp() if source in swept else 0
        family.add_metric([source], at)
    yield family


def _queues() -> Iterator[Metric]:
    now = timezone.now()
    heartbeat = _family(
        "queue_last_heartbeat_timestamp_seconds",
        "The time of the last heartbeat; 0 before the first one.",
        "queue",
    )
    lag = _family("queue_lag_seconds", "How long the last heartbeat waited on the queue.", "queue")
    waiting = _family(
        "queue_waiting_runs",
        "Runs that are due, have no worker, and continue on this queue.",
        "queue",
    )
    workers = _family(
        "worker_last_heartbeat_timestamp_seconds",
        "The time of the last heartbeat that the worker took.",
        "queue",
        "worker",
    )
    for queue in queues():
        silent_for = queue.silent_for
        heartbeat.add_metric([queue.name], (now - silent_for).timestamp() if silent_for else 0)
        if queue.lag is not None:
            lag.add_metric([queue.name], queue.lag.total_seconds())
        waiting.add_metric([queue.name], queue.waiting)
        for worker in queue.workers:
            workers.add_metric([queue.name, worker.name], (now - worker.silent_for).timestamp())
    yield from (heartbeat, lag, waiting, workers)


def _systems() -> Iterator[Metric]:
    family = _family(
        "system_recent_attempts",
        "Attempts of the last five minutes at steps that call the system.",
        "system",
        "outcome",
    )
    for health in system_health():
        for outcome in OUTCOMES:
            family.add_metric([health.system, outcome], health.outcomes.get(outcome, 0))
    yield family


def _breaks() -> Iterator[Metric]:
    found = count_open_breaks()
    family = _family("breaks_open", "Open breaks, by the code of the invariant.", "code")
    for invariant in INVARIANTS:
        family.add_metric([invariant.code], found.get(invariant.code, 0))
    yield family
    yield _gauge(
        "ghost_charges_open",
        "Open breaks: money is held or taken for an order that must not have any. Must be 0.",
        sum(found.get(code, 0) for code in GHOST_CHARGES),
    )


def _approvals() -> Iterator[Metric]:
    counted = count_open()
    yield _gauge("approvals_open", "Approvals that wait for a decision.", counted.open)
    yield _gauge(
        "approvals_past_deadline",
        "Open approvals whose deadline has passed: their orders still wait.",
        counted.past_deadline,
    )


def _outbox() -> Iterator[Metric]:
    waiting = _family(
        "events_waiting", "Events that a transport has not published yet.", "transport"
    )
    seconds = _family(
        "events_waiting_seconds", "The age of the oldest of these events.", "transport"
    )
    failing = _family(
        "events_failing", "1 while a transport cannot publish, otherwise 0.", "transport"
    )
    for lag in lags():
        waiting.add_metric([lag.transport], lag.waiting)
        seconds.add_metric([lag.transport], lag.seconds)
        failing.add_metric([lag.transport], int(lag.is_failing))
    yield from (waiting, seconds, failing)


def _gauge(name: str, description: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"holdfast_{name}", description, value=value)


def _family(name: str, description: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"holdfast_{name}", description, labels=labels)
