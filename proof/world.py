"""The environment of a run: a database, outside services, a broker, and the run's clock."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, cast

import redis

from proof.run_database import RunDatabase
from sandbox.outside_service.process import OutsideServiceProcess
from sandbox.service_process import ServiceProcess
from sandbox.stripe_process import SandboxServer

A_MOMENT: Final = timedelta(milliseconds=1)

_TIMES: Final = (
    ("sagas_sagarun", "wake_at"),
    ("sagas_sagarun", "leased_until"),
    ("sagas_sagarun", "not_before"),
    ("sagas_sagarun", "waiting_until"),
    ("approvals_approval", "deadline"),
    ("sagas_stepattempt", "not_before"),
)
"""Every column with a time that a process waits for."""

_DUMP_QUERY: Final = """
    SELECT string_agg('SELECT ' || quote_literal(tablename) || ' AS name, t::text AS line FROM ' || quote_ident(tablename) || ' t',
                      ' UNION ALL ')
    FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'sagas_lastsweep'
"""
"""Builds the query of all tables except the time of the last sweep, which each sweep writes."""


@dataclass(frozen=True)
class Addresses:
    """Addresses of a prover's own servers. Every run finds the rows of ``template`` in ``database``."""

    database: str
    template: str
    broker: str
    key_prefix: str


class World:
    """The servers of one prover. Its runs use them in turn, and each run starts with ``reset``."""

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
        self._database = RunDatabase(addresses.database, template=addresses.template)
        self._broker = redis.Redis.from_url(addresses.broker)

    def reset(self) -> None:
        """Restore the template's rows; empty the services' records and the broker."""
        self._database.restore()
        for service in self.services.values():
            service.start_over()
        self.flush_broker()
        self.elapsed = timedelta()

    # -- the database --------------------------------------------------------------------------

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Query our database directly, without the application's code."""
        return self._database.rows(query, *parameters)

    def open_payment(self, order_id: str) -> str:
        """Return the id of the payment of an order that is not marked for closing."""
        query = "SELECT id FROM payments_payment WHERE order_id = %s AND closing_since IS NULL"
        [(payment_id,)] = self.rows(query, order_id)
        return str(payment_id)

    def dump(self) -> list[str]:
        """Return every row of every table, and every record of every service, as texts."""
        query = str(self.rows(_DUMP_QUERY)[0][0])
        ours = sorted(f"{name} {line}" for name, line in self.rows(query))
        theirs = [
            f"{name} {record}"
            for name, service in self.services.items()
            for record in service.records()
        ]
        return ours + theirs

    def end_session(self, session: int) -> None:
        """End a session that is idle in a transaction, as PostgreSQL's time limit does."""
        self.rows("SELECT pg_terminate_backend(%s, 5000)", session)

    # -- the broker ----------------------------------------------------------------------------

    def flush_broker(self) -> None:
        self._broker.flushdb()

    def has_messages(self) -> bool:
        """Return whether any queue has a message."""
        prefix = self._addresses.key_prefix
        return bool(self._broker.exists(*(f"{prefix}{queue}" for queue in self._queues)))

    def has_unacknowledged(self) -> bool:
        """Return whether a worker has taken a message and not acknowledged it."""
        return bool(self._broker.exists(f"{self._addresses.key_prefix}unacked_index"))

    def expire_unacknowledged(self) -> None:
        """Make every unacknowledged message exceed its visibility timeout."""
        index = f"{self._addresses.key_prefix}unacked_index"
        tags = cast(list[bytes], self._broker.zrange(index, 0, -1))
        for tag in tags:
            self._broker.zadd(index, {tag: 1})
        self._broker.delete(f"{self._addresses.key_prefix}unacked_mutex")

    def requeue(self, messages: Iterable[tuple[str, str]]) -> None:
        """Put messages a second time on the queue that they were on."""
        for queue, text in messages:
            self._broker.lpush(f"{self._addresses.key_prefix}{queue}", text)

    # -- time ----------------------------------------------------------------------------------

    def is_at_rest(self) -> bool:
        """Return whether no saga run is in progress."""
        return not self.rows("SELECT FROM sagas_sagarun WHERE wake_at IS NOT NULL")

    def is_waiting_for(self, code: str) -> bool:
        """Return whether a saga run waits for this, and no worker looks at it now."""
        waiting = "SELECT FROM sagas_sagarun WHERE waits_for = %s AND leased_until IS NULL"
        return bool(self.rows(waiting, code))

    def is_flagged_as_late(self) -> bool:
        """Return whether a saga run is flagged because it waits past its deadline."""
        return bool(
            self.rows("SELECT FROM sagas_sagarun WHERE needs_attention AND escalations > 0")
        )

    def has_overdue_run(self) -> bool:
        return bool(self.rows("SELECT FROM sagas_sagarun WHERE wake_at <= now()"))

    def until_next_wake(self) -> timedelta:
        """Return the time until the next saga run is due; zero if none is."""
        [(wait,)] = self.rows("SELECT min(wake_at) - now() FROM sagas_sagarun")
        return max(wait, timedelta()) + A_MOMENT if wait is not None else timedelta()

    def advance_time(self, time: timedelta) -> None:
        """Move every lease, back-off and wake-up earlier by ``time``; advance the services' clocks."""
        for table, column in _TIMES:
            self._database.change(f"UPDATE {table} SET {column} = {column} - %s", time)  # noqa: S608 - names of our own
        for service in self.services.values():
            service.advance(math.ceil(time.total_seconds()))
        self.elapsed += time
