"""The gauges that are read from the database: the same on each host, and right after a restart."""

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

from events.services import count_unrelayed
from invariants.break_store import count_open_breaks
from invariants.catalogue import GHOST_CHARGES, INVARIANTS
from monitoring.heartbeats import queues
from monitoring.system_health import system_health
from sagas.queries.counts import count_flagged, last_sweeps, live_runs
from sagas.sweep import SweepSource

log = logging.getLogger(__name__)

KEPT_FOR: Final = timedelta(seconds=5)
"""The database is asked no more often than this, however many scrapes there are."""

OUTCOMES: Final = (
    "started", "done", "rejected", "proceeded", "transient", "unknown", "lost", "failed",
)  # fmt: skip
"""Of attempts: each has its gauge, 0 without any."""


class DatabaseMetrics(Collector):
    """Reads the database when it is scraped. Thread-safe."""

    def __init__(self) -> None:
        self._asking = threading.Lock()
        self._metrics: list[Metric] = []
        self._asked_at = float("-inf")

    def collect(self) -> Iterator[Metric]:
        with self._asking:
            if time.monotonic() - self._asked_at >= KEPT_FOR.total_seconds():
                self._metrics = self._ask()
                self._asked_at = time.monotonic()
            yield from self._metrics

    def describe(self) -> list[Metric]:
        """Return nothing, so that registration does not read the database."""
        return []

    def _ask(self) -> list[Metric]:
        answers = _gauge("database_up", "Whether the database answered: 1, or 0.", 1)
        try:
            return [answers, *_runs(), *_sweeps(), *_queues(), *_systems(), *_breaks(), *_outbox()]
        except Error as error:
            log.warning("gauges.failed", extra={"error": type(error).__name__})
            return [_gauge("database_up", "Whether the database answered: 1, or 0.", 0)]
        finally:
            connection.close()  # each scrape has a thread of its own


def _runs() -> Iterator[Metric]:
    live = live_runs()
    by_step = _family("runs_live", "Runs that have not ended.", "saga", "status", "step")
    for runs in live:
        by_step.add_metric([runs.saga, runs.status, runs.step], runs.runs)
    yield by_step
    yield _gauge(
        "oldest_unfinished_seconds",
        "The age of the oldest run that lives and is not paused.",
        _longest_since(each.oldest_at for each in live),
    )
    yield _gauge(
        "runs_overdue",
        "Runs that the sweep should have queued by now.",
        sum(each.overdue for each in live),
    )
    yield _gauge(
        "sweep_lag_seconds",
        "How long the longest overdue run is overdue.",
        _longest_since(each.overdue_since for each in live),
    )
    marked = count_flagged()
    yield _gauge("runs_flagged", "Runs that wait for a person to look.", marked.flagged)
    yield _gauge(
        "runs_paused", "Runs that stay where they are until a person resumes them.", marked.paused
    )


def _longest_since(moments: Iterable[datetime | None]) -> float:
    """Return the seconds since the earliest moment; 0 without one."""
    earliest = min((each for each in moments if each is not None), default=None)
    return max((timezone.now() - earliest).total_seconds(), 0) if earliest else 0


def _sweeps() -> Iterator[Metric]:
    swept = last_sweeps()
    family = _family("last_sweep_timestamp_seconds", "When it swept last; 0: never.", "source")
    for source in (SweepSource.BEAT, SweepSource.WATCH):
        at = swept[source].at.timestamp() if source in swept else 0
        family.add_metric([source], at)
    yield family


def _queues() -> Iterator[Metric]:
    now = timezone.now()
    heartbeat = _family(
        "queue_last_pulse_timestamp_seconds", "The last heartbeat; 0: none.", "queue"
    )
    lag = _family("queue_lag_seconds", "How long the last heartbeat waited on the queue.", "queue")
    waiting = _family(
        "queue_waiting_runs", "Runs that are due and that no worker carries.", "queue"
    )
    workers = _family(
        "worker_last_pulse_timestamp_seconds", "The last heartbeat it took.", "queue", "worker"
    )
    for each in queues():
        silent_for = each.silent_for
        heartbeat.add_metric([each.name], (now - silent_for).timestamp() if silent_for else 0)
        if each.lag is not None:
            lag.add_metric([each.name], each.lag.total_seconds())
        waiting.add_metric([each.name], each.waiting)
        for worker in each.workers:
            workers.add_metric([each.name, worker.name], (now - worker.silent_for).timestamp())
    yield from (heartbeat, lag, waiting, workers)


def _systems() -> Iterator[Metric]:
    family = _family(
        "system_recent_attempts",
        "Attempts of the last five minutes at steps that call a system.",
        "system",
        "outcome",
    )
    for health in system_health():
        for outcome in OUTCOMES:
            family.add_metric([health.system, outcome], health.outcomes.get(outcome, 0))
    yield family


def _breaks() -> Iterator[Metric]:
    found = count_open_breaks()
    family = _family("breaks_open", "Breaks that are open, by the code of the invariant.", "code")
    for invariant in INVARIANTS:
        family.add_metric([invariant.code], found.get(invariant.code, 0))
    yield family
    yield _gauge(
        "ghost_charges_open",
        "Open breaks that mean money of an order that must not have any. Always 0.",
        sum(found.get(code, 0) for code in GHOST_CHARGES),
    )


def _outbox() -> Iterator[Metric]:
    yield _gauge("outbox_unrelayed", "Events that are not relayed yet.", count_unrelayed())


def _gauge(name: str, says: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"holdfast_{name}", says, value=value)


def _family(name: str, says: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"holdfast_{name}", says, labels=labels)
