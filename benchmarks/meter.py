"""Reads all counters of the running system at one moment."""

import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import psycopg
import redis
import urllib3

from benchmarks import cpu
from sandbox.system import System

_DATABASE: Final = """
SELECT xact_commit, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint
FROM pg_stat_database WHERE datname = current_database()
"""


AFTER_ALL_CALLS: Final = 10**12  # higher than the number of any call to the sandbox


class NotDurable(Exception):
    """PostgreSQL does not sync its commits, so its figures would mean nothing."""


class ProgramRestarted(Exception):
    """A program ended within a window and was started again."""


class Reading(NamedTuple):
    """All counters at one moment. Each counts from its own start, so only differences mean anything."""

    at: float  # the machine's clock, in seconds
    commits: int  # less the load generator's own
    wal_bytes: int
    messages: int  # pushed onto Celery's queues
    stripe_calls: int
    cpu_ms: Mapping[str, float]  # by group of processes
    machine_busy_ms: float
    pids: Mapping[str, int]


class Meter:
    """Reads the database, the broker, the Stripe sandbox and /proc. Not for several threads."""

    def __init__(self, system: System, load_backend: int) -> None:
        self._system = system
        self._load_backend = load_backend
        self.session = psycopg.connect(
            system.settings["DATABASE_URL"], autocommit=True, application_name="benchmark"
        )
        self.broker: redis.Redis = redis.Redis.from_url(system.settings["REDIS_URL"])

    def read(self, own_commits: int) -> Reading:
        """Return all counters. ``own_commits`` are the load generator's, and are subtracted."""
        row = self.session.execute(_DATABASE).fetchone()
        commits, wal_bytes = row if row is not None else (0, 0)
        pids = self.pids()
        return Reading(
            commits=commits - own_commits,
            wal_bytes=wal_bytes,
            messages=self._pushes(),
            stripe_calls=self.stripe_calls(),
            cpu_ms=cpu.by_group(pids, self._load_backend),
            machine_busy_ms=cpu.machine_busy_ms(),
            pids=pids,
            at=time.time(),
        )

    def pids(self) -> dict[str, int]:
        return self._system.pids()

    def stripe_calls(self) -> int:
        """Return how many calls the sandbox has received."""
        return int(self._calls(since=AFTER_ALL_CALLS)["last"])

    def stripe_operations(self, since: int) -> list[str]:
        """Return the operations of the sandbox's calls after call number ``since``."""
        return [call["operation"] for call in self._calls(since)["calls"]]

    def durability(self) -> dict[str, str]:
        """Return PostgreSQL's version and settings of durability. Raises NotDurable if one is off."""
        settings = {name: self._setting(name) for name in ("fsync", "synchronous_commit")}
        if set(settings.values()) != {"on"}:
            raise NotDurable(f"not durable: {settings}")
        return {**settings, "server_version": self._setting("server_version")}

    def close(self) -> None:
        self.session.close()
        self.broker.close()

    def _setting(self, name: str) -> str:
        row = self.session.execute("SELECT current_setting(%s)", (name,)).fetchone()
        return str(row[0]) if row else ""

    def _pushes(self) -> int:
        commands: dict[str, Any] = self.broker.info("commandstats")
        return int(commands.get("cmdstat_lpush", {"calls": 0})["calls"])

    def _calls(self, since: int) -> dict[str, Any]:
        url = f"{self._system.stripe_url}/_sandbox/calls?since={since}"
        content: dict[str, Any] = urllib3.request("GET", url, timeout=10).json()
        return content
