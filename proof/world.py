"""Where a run takes place: a database, outside services and a broker, all empty, and a clock."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, cast
from urllib.parse import urlsplit

import psycopg
import redis

from sandbox.outside_service.process import OutsideServiceProcess
from sandbox.service_process import ServiceProcess
from sandbox.stripe_process import SandboxServer

A_MOMENT: Final = timedelta(milliseconds=1)

_TIMES: Final = (
    ("sagas_sagarun", "wake_at"),
    ("sagas_sagarun", "leased_until"),
    ("sagas_sagarun", "not_before"),
    ("sagas_stepattempt", "not_before"),
)
"""Every time that a process waits for."""

_WRITTEN_DOWN: Final = """
    SELECT string_agg('SELECT ' || quote_literal(tablename) || ' AS name, t::text AS line FROM ' || quote_ident(tablename) || ' t',
                      ' UNION ALL ')
    FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'sagas_lastsweep'
"""
"""All tables but the time of the last sweep, which each sweep writes."""


@dataclass(frozen=True)
class Addresses:
    """Of a prover's own servers; ``database`` is remade for every run."""

    database: str
    template: str
    broker: str
    key_prefix: str


class World:
    """What one prover owns. Runs follow each other on it, and each begins with everything empty."""

    def __init__(
        self,
        addresses: Addresses,
        queues: Sequence[str],
        stripe: SandboxServer,
        outside_services: Sequence[OutsideServiceProcess] = (),
    ) -> None:
        self.stripe = stripe
        self.outside_services = outside_services
        self.services: dict[str, ServiceProcess] = {
            service.name: service for service in (stripe, *outside_services)
        }
        self._queues = queues
        self.elapsed = timedelta()
        self._addresses = addresses
        self._name = urlsplit(addresses.database).path.lstrip("/")
        server = urlsplit(addresses.database)._replace(path="/postgres").geturl()
        self._server = psycopg.connect(server, autocommit=True)
        self._database = self._server
        self._broker = redis.Redis.from_url(addresses.broker)

    def begin_anew(self) -> None:
        """Clone the template afresh, and empty the services' records and the broker."""
        if self._database is not self._server:
            self._database.close()
        self._server.execute(f'DROP DATABASE IF EXISTS "{self._name}" WITH (FORCE)')
        self._server.execute(
            f'CREATE DATABASE "{self._name}" TEMPLATE "{self._addresses.template}"'
            " STRATEGY file_copy"
        )
        self._database = psycopg.connect(self._addresses.database, autocommit=True)
        for service in self.services.values():
            service.start_over()
        self.flush_broker()
        self.elapsed = timedelta()

    # -- the database --------------------------------------------------------------------------

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Query our database directly, without the application's code."""
        return self._database.execute(query, parameters).fetchall()

    def everything(self) -> list[str]:
        """Return every row of every table, and every record of every service, as texts."""
        query = str(self.rows(_WRITTEN_DOWN)[0][0])
        ours = sorted(f"{name} {line}" for name, line in self.rows(query))
        theirs = [
            f"{name} {record}"
            for name, service in self.services.items()
            for record in service.records()
        ]
        return ours + theirs

    def cut(self, session: int) -> None:
        """End a session that stands still in a transaction, as PostgreSQL's time limit does."""
        self.rows("SELECT pg_terminate_backend(%s, 5000)", session)

    # -- the broker ----------------------------------------------------------------------------

    def flush_broker(self) -> None:
        self._broker.flushdb()

    def has_messages(self) -> bool:
        """Whether anything waits on a queue."""
        return any(
            self._broker.llen(f"{self._addresses.key_prefix}{queue}") for queue in self._queues
        )

    def give_up_on_unacknowledged(self) -> None:
        """Let the visibility timeout pass of every unacknowledged message."""
        index = f"{self._addresses.key_prefix}unacked_index"
        tags = cast(list[bytes], self._broker.zrange(index, 0, -1))
        for tag in tags:
            self._broker.zadd(index, {tag: 1})
        self._broker.delete(f"{self._addresses.key_prefix}unacked_mutex")

    def queue_again(self, messages: Iterable[tuple[str, str]]) -> None:
        """Deliver messages a second time, each to the queue that it was on."""
        for queue, text in messages:
            self._broker.lpush(f"{self._addresses.key_prefix}{queue}", text)

    # -- time ----------------------------------------------------------------------------------

    def is_at_rest(self) -> bool:
        """Whether no run of any saga is under way."""
        return not self.rows("SELECT FROM sagas_sagarun WHERE wake_at IS NOT NULL")

    def has_overdue_run(self) -> bool:
        return bool(self.rows("SELECT FROM sagas_sagarun WHERE wake_at <= now()"))

    def until_next_wake(self) -> timedelta:
        """How long until the first run is due to be looked at."""
        [(wait,)] = self.rows("SELECT min(wake_at) - now() FROM sagas_sagarun")
        return max(wait, timedelta()) + A_MOMENT if wait is not None else timedelta()

    def let_pass(self, time: timedelta) -> None:
        """Bring every lease, back-off and wake-up that much nearer; the services' time passes too."""
        for table, column in _TIMES:
            self._database.execute(f"UPDATE {table} SET {column} = {column} - %s", [time])  # noqa: S608 - names of our own
        for service in self.services.values():
            service.advance(math.ceil(time.total_seconds()))
        self.elapsed += time
