"""The metrics that a scrape returns: counters of all processes of this host, and gauges."""

import threading
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from monitoring.database_metrics import DatabaseMetrics
from monitoring.metric_files import fold_ended


def build_registry(folder: Path | None) -> CollectorRegistry:
    """Return the metrics to serve. Without a folder: the gauges, and this process's own counters."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_CountersOfThisHost(folder) if folder else REGISTRY)
    registry.register(DatabaseMetrics())
    return registry


class _CountersOfThisHost(Collector):
    """Adds up the counters of all processes of this host, including ended ones."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            fold_ended(self._folder)
            collected = MultiProcessCollector(None, path=str(self._folder)).collect()
        yield from collected
