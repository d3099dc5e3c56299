"""What the database knows, as gauges: the same whichever host asks, and true after any restart."""

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
from monitoring.provider_health import provider_health
from sagas.figures import count_flagged, last_sweeps, live_runs
from sagas.sweep import Sweeper

log = logging.getLogger(__name__)

KEPT_FOR: Final = timedelta(seconds=5)
"""However many scrape, the database is asked this often."""


class DatabaseMetrics(Collector):
    """Asks the database when it is scraped. Threads may share it."""

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
        """Name nothing: to be registered it need not ask the database."""
        return []

    def _ask(self) -> list[Metric]:
        answers = _gauge("database_up", "Whether the database answered: 1, or 0.", 1)
        try:
            return [answers, *_runs(), *_sweeps(), *_queues(), *_bank(), *_breaks(), *_outbox()]
        except Error as error:
            log.warning("gauges.failed", extra={"error": type(error).__name__})
            return [_gauge("database_up", "Whether the database answered: 1, or 0.", 0)]
        finally:
            connection.close()  # each scrape has a thread of its own


def _runs() -> Iterator[Metric]:
    live = live_runs()
    by_step = _family("runs_live", "Runs that have not ended.", "saga", "status", "step")
    for each in live:
        by_step.add_metric([each.saga, each.status, each.step], each.runs)
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
        "runs_paused", "Runs that go no further before a person resumes them.", marked.paused
    )


def _longest_since(moments: Iterable[datetime | None]) -> float:
    """Return the seconds since the earliest; 0 where there is none."""
    earliest = min((each for each in moments if each is not None), default=None)
    return max((timezone.now() - earliest).total_seconds(), 0) if earliest else 0


def _sweeps() -> Iterator[Metric]:
    swept = last_sweeps()
    family = _family("last_sweep_timestamp_seconds", "When it swept last; 0: never.", "sweeper")
    for sweeper in (Sweeper.BEAT, Sweeper.WATCH):
        at = swept[sweeper].at.timestamp() if sweeper in swept else 0
        family.add_metric([sweeper], at)
    yield family


def _queues() -> Iterator[Metric]:
    now = timezone.now()
    heartbeat = _family(
        "queue_last_pulse_timestamp_seconds", "The last heartbeat; 0: none.", "queue"
    )
    lag = _family("queue_lag_seconds", "How long the last heartbeat waited on the queue.", "queue")
    waiting = _family("queue_waiting_runs", "Runs that are due, and carried by nobody.", "queue")
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


def _bank() -> Iterator[Metric]:
    health = provider_health()
    family = _family(
        "bank_recent_attempts", "Attempts of the last five minutes that asked the bank.", "outcome"
    )
    for outcome in ("started", "done", "rejected", "transient", "unknown", "lost", "failed"):
        family.add_metric([outcome], health.outcomes.get(outcome, 0))
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
    yield _gauge("outbox_unrelayed", "Facts not told to the world yet.", count_unrelayed())


def _gauge(name: str, says: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"holdfast_{name}", says, value=value)


def _family(name: str, says: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"holdfast_{name}", says, labels=labels)
