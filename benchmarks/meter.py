"""Reads every counter of the running system at one moment."""

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


class NotDurable(Exception):
    """PostgreSQL would lose what it has committed: its figures would be worth nothing."""


class ProgramRestarted(Exception):
    """A program ended within a window and was started again."""


class Reading(NamedTuple):
    """All counters count from some start of their own: only differences say anything."""

    at: float  # the machine's clock, in seconds
    commits: int  # less the load generator's own
    wal_bytes: int
    messages: int  # pushed onto Celery's queues
    stripe_calls: int
    cpu_ms: Mapping[str, float]  # by group of processes
    machine_busy_ms: float
    pids: Mapping[str, int]


class Meter:
    """Looks at the database, the broker, the bank and /proc. Used by one thread at a time."""

    def __init__(self, system: System, load_backend: int) -> None:
        self._system = system
        self._load_backend = load_backend
        self.session = psycopg.connect(
            system.settings["DATABASE_URL"], autocommit=True, application_name="benchmark"
        )
        self._broker: redis.Redis = redis.Redis.from_url(system.settings["REDIS_URL"])

    def read(self, own_commits: int) -> Reading:
        """Read everything, the processor times last."""
        row = self.session.execute(_DATABASE).fetchone()
        commits, wal_bytes = row if row is not None else (0, 0)
        pids = self._system.pids()
        return Reading(
            commits=commits - own_commits,
            wal_bytes=wal_bytes,
            messages=self._pushes(),
            stripe_calls=self._stripe_calls(),
            cpu_ms=cpu.by_group(pids, self._load_backend),
            machine_busy_ms=cpu.machine_busy_ms(),
            pids=pids,
            at=time.time(),
        )

    def durability(self) -> dict[str, str]:
        """Return the settings that a commit's safety hangs on. Raises NotDurable if it is off."""
        found = {name: self._show(name) for name in ("fsync", "synchronous_commit")}
        if set(found.values()) != {"on"}:
            raise NotDurable(f"not durable: {found}")
        return {**found, "server_version": self._show("server_version")}

    def close(self) -> None:
        self.session.close()
        self._broker.close()

    def _show(self, setting: str) -> str:
        row = self.session.execute("SELECT current_setting(%s)", (setting,)).fetchone()
        return str(row[0]) if row else ""

    def _pushes(self) -> int:
        commands: dict[str, Any] = self._broker.info("commandstats")
        return int(commands.get("cmdstat_lpush", {"calls": 0})["calls"])

    def _stripe_calls(self) -> int:
        url = f"{self._system.stripe_url}/_sandbox/calls?since=999999999"
        return int(urllib3.request("GET", url, timeout=10).json()["last"])
