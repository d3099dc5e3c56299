"""Checks the invariants in one read-only snapshot of the database."""

import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum, auto
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from invariants import provider_relation
from invariants.catalogue import INVARIANTS
from invariants.invariant import Invariant
from payments.provider_reconciliation import ProviderReading

GRACE: Final = timedelta(seconds=120)
"""A payment is compared with its provider once our database settled it this long ago."""

MOST_FINDINGS: Final = 1000
"""The most rows that one check reads for one invariant."""

MOVES_WITHIN: Final = timedelta(hours=2)
"""A run that does not wait wakes within this time, as the index on ``wake_at`` shows."""

STATEMENT_TIMEOUT: Final = "120s"
SORT_MEMORY: Final = "128MB"
LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Strictness(Enum):
    """How a check treats work that is still under way."""

    ON_TIME = auto()  # work may be under way for as long as its invariant allows
    AT_REST = auto()  # all work has ended: what is still under way is a finding
    SAFETY_ONLY = auto()  # lateness is no finding: only what must never happen is one


class LeftOut(StrEnum):
    """Why an invariant was not checked, or not in full."""

    PROVIDER = "not checked: the payment providers were not compared"
    PROVIDER_SIDE = "checked in our own database only: the payment providers were not compared"
    HISTORY = "not checked: it adds up all of history, which only a full check does"
    LATENESS = "checked only for what must never happen: lateness is no finding here"
    REST = f"{MOST_FINDINGS} rows or more break it, and the list ends there"


@dataclass(frozen=True, slots=True)
class OrderScope:
    """Which orders a check covers: all of them if neither field is set."""

    changed_within: timedelta | None = None
    """Orders that move, or that were placed, worked on or moved within this time.

    An order that only waits for longer is left out until its wait is over: a million may wait.
    """
    orders: frozenset[UUID] = frozenset()
    """Orders to check in any case."""

    @property
    def is_everything(self) -> bool:
        return self.changed_within is None and not self.orders


ALL_ORDERS: Final = OrderScope()
RECENT: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where an invariant does not hold. ``subject`` is an order's id if it has one."""

    code: str
    kind: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check covered, and what it found."""

    taken_at: datetime
    orders: dict[str, int]
    payments: dict[str, int]
    reading: ProviderReading | None
    checked_codes: tuple[str, ...]
    """The codes that were checked in full, as far as our own database is concerned."""
    left_out: dict[str, LeftOut]
    """The codes that were not checked, or not in full."""
    checked_orders: frozenset[UUID] | None
    """The orders that were checked; None for all."""
    findings: list[Finding]
    grace: timedelta
    seconds: float


def check(
    *,
    reading: ProviderReading | None = None,
    scope: OrderScope = ALL_ORDERS,
    grace: timedelta = GRACE,
    strictness: Strictness = Strictness.ON_TIME,
) -> CheckReport:
    """Return every violation of an invariant in one snapshot. Changes nothing and locks nothing.

    At the end of a test, when no work is under way any more::

        report = check(reading=read_providers(), grace=timedelta(), strictness=Strictness.AT_REST)
        assert report.findings == []

    In the middle of a test, use ``strictness=Strictness.SAFETY_ONLY``: safety must hold in every
    snapshot. ``reading`` comes from ``payments.provider_reconciliation.read_providers``, called
    before; without it the providers are not compared. A provider may outlive our rows: then each
    new database needs another INSTALLATION_ID. Raises RuntimeError inside a transaction.
    """
    began = time.monotonic()
    with transaction.atomic(durable=True):
        _begin_snapshot()
        examination = Examination(reading, scope, grace, strictness)
        findings = [
            finding for invariant in INVARIANTS for finding in examination.findings(invariant)
        ]
        return CheckReport(
            taken_at=examination.now,
            orders=examination.count("orders_order", "id"),
            payments=examination.count("payments_payment", "order_id"),
            reading=reading,
            checked_codes=tuple(examination.fully_checked),
            left_out=examination.left_out,
            checked_orders=None if scope.is_everything else frozenset(examination.orders),
            findings=findings,
            grace=grace,
            seconds=time.monotonic() - began,
        )


def _begin_snapshot() -> None:
    """Make the transaction that has just begun read one snapshot, and refuse writes."""
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'")
        cursor.execute(f"SET LOCAL work_mem = '{SORT_MEMORY}'")
        # Plan each query for its scope: all orders, or a few.
        cursor.execute("SET LOCAL plan_cache_mode = force_custom_plan")
        # Recent rows are in memory. A check must not take the cores that orders need.
        cursor.execute("SET LOCAL random_page_cost = 1.1")
        cursor.execute("SET LOCAL max_parallel_workers_per_gather = 0")


class Examination:
    """Runs the queries of one check, all in the caller's transaction."""

    def __init__(
        self,
        reading: ProviderReading | None,
        scope: OrderScope,
        grace: timedelta,
        strictness: Strictness,
    ) -> None:
        self.now: datetime = _rows("SELECT clock_now()")[0][0]
        self.reading = reading
        self.scope = scope
        self.strictness = strictness
        self.orders = _orders(scope, self.now)
        self.fully_checked: list[str] = []
        self.left_out: dict[str, LeftOut] = {}
        self._parameters: dict[str, object] = {
            "every_order": scope.is_everything,
            "orders": self.orders,
            "settled_before": reading.read_at - grace if reading else None,
            "complete_since": (reading.complete_since or LONG_AGO) if reading else None,
            **provider_relation.columns(reading.payments if reading else []),
        }

    def findings(self, invariant: Invariant) -> list[Finding]:
        """Return the violations of ``invariant``, ordered by subject.

        Notes in ``left_out`` what of the invariant could not be checked.
        """
        omission = self._omission(invariant)
        if omission is not None:
            self.left_out[invariant.code] = omission
        if omission in (LeftOut.PROVIDER, LeftOut.HISTORY):
            return []
        parameters = {
            **self._parameters,
            **invariant.parameters,
            "overdue_since": self._overdue_since(invariant),
            "is_at_rest": self.strictness is Strictness.AT_REST,
        }
        relations = provider_relation.RELATION if invariant.asks_provider else ""
        rows = _rows(f"{relations}{invariant.sql} LIMIT {MOST_FINDINGS}", parameters)
        if len(rows) == MOST_FINDINGS:
            self.left_out[invariant.code] = LeftOut.REST
        elif omission is not LeftOut.LATENESS:
            self.fully_checked.append(invariant.code)
        details: dict[str, list[str]] = defaultdict(list)
        for subject, detail in rows:
            details[subject].append(detail)
        return [
            Finding(invariant.code, invariant.kind.value, subject, "; ".join(sorted(texts)))
            for subject, texts in sorted(details.items())
        ]

    def count(self, table: str, order_column: str) -> dict[str, int]:
        """Count the rows within the scope, by their status."""
        return dict(
            _rows(
                f"SELECT status, count(*) FROM {table}"  # noqa: S608 - names of our own
                f" WHERE %(every_order)s OR {order_column} = ANY(%(orders)s)"
                " GROUP BY status ORDER BY status",
                self._parameters,
            )
        )

    def _omission(self, invariant: Invariant) -> LeftOut | None:
        """Return which part of ``invariant`` this check leaves out; None for no part."""
        if self.reading is None and invariant.asks_provider:
            return LeftOut.PROVIDER if invariant.needs_provider else LeftOut.PROVIDER_SIDE
        if invariant.sums_history and not self.scope.is_everything:
            return LeftOut.HISTORY
        if invariant.time_limit and self.strictness is Strictness.SAFETY_ONLY:
            return LeftOut.LATENESS
        return None

    def _overdue_since(self, invariant: Invariant) -> datetime:
        if self.strictness is Strictness.SAFETY_ONLY and invariant.time_limit:
            return LONG_AGO
        return (
            self.now if self.strictness is Strictness.AT_REST else self.now - invariant.time_limit
        )


def _orders(scope: OrderScope, now: datetime) -> list[UUID]:
    """Return the orders of a scope that is not everything.

    Recent orders come from several tables, so that an order without a journal is found too.
    """
    if scope.changed_within is None:
        return list(scope.orders)
    rows = _rows(
        """
        SELECT id FROM orders_order o WHERE status IN ('placed', 'cancelling') AND NOT EXISTS (
            SELECT FROM sagas_sagarun r
            WHERE r.subject_id = o.id AND r.status IN ('running', 'compensating')
              AND r.waits_for <> '' AND r.wake_at > %(now)s)
        UNION SELECT subject_id FROM sagas_sagarun
            WHERE status IN ('running', 'compensating') AND wake_at <= %(soon)s
              AND (waits_for = '' OR wake_at <= %(now)s)
        UNION SELECT id FROM orders_order WHERE created_at > %(since)s
        UNION SELECT order_id FROM orders_ordertransition WHERE at > %(since)s
        UNION SELECT r.subject_id FROM sagas_stepattempt s JOIN sagas_sagarun r ON r.id = s.run_id
            WHERE s.started_at > %(since)s
        UNION SELECT unnest(%(orders)s::uuid[])
        """,
        {
            "since": now - scope.changed_within,
            "now": now,
            "soon": now + MOVES_WITHIN,
            "orders": list(scope.orders),
        },
    )
    return [order_id for (order_id,) in rows]


def _rows(sql: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
