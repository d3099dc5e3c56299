"""What a scrape returns: the counters of all processes of this host, and the database's gauges."""

import threading
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from monitoring.database_metrics import DatabaseMetrics
from monitoring.metric_files import fold_ended


def registry_for(folder: Path | None) -> CollectorRegistry:
    """Return what to serve. Without a folder there are only this process's own counters."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_CountersOfThisHost(folder) if folder else REGISTRY)
    registry.register(DatabaseMetrics())
    return registry


class _CountersOfThisHost(Collector):
    """Adds up what the processes have counted, ended ones too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folding = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        with self._folding:
            fold_ended(self._folder)
            collected = MultiProcessCollector(None, path=str(self._folder)).collect()
        yield from collected
