"""Checks the invariants in one snapshot. Reads only."""

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
"""How long our books must have settled something before a provider is compared with it."""

MOST_FINDINGS: Final = 1000
"""Of one invariant in one check: a longer list would not help."""

STATEMENT_TIMEOUT: Final = "120s"
SORT_MEMORY: Final = "128MB"
LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Progress(Enum):
    """How a check judges what takes time."""

    ON_TIME = auto()  # it may be under way for as long as its invariant allows
    AT_REST = auto()  # everything has ended: what is under way is a finding
    SOMETIME = auto()  # lateness is no finding: only what must never be is one


class LeftOut(StrEnum):
    """Why an invariant was not checked, or not in full."""

    PROVIDER = "not checked: the payment providers were not compared"
    PROVIDER_SIDE = "checked in our own books only: the payment providers were not compared"
    HISTORY = "not checked: it adds up all of history, which only a full check does"
    LATENESS = "checked only for what must never be: lateness is no finding here"
    REST = f"{MOST_FINDINGS} rows or more break it, and the list ends there"


@dataclass(frozen=True, slots=True)
class Scope:
    """Which orders a check looks at: all of them if neither field is set."""

    changed_within: timedelta | None = None
    """Orders that have not ended, and those placed, worked on or moved within that time."""
    orders: frozenset[UUID] = frozenset()
    """These orders, in any case."""

    @property
    def is_everything(self) -> bool:
        return self.changed_within is None and not self.orders


EVERYTHING: Final = Scope()
RECENT: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where an invariant does not hold. ``subject`` is an order's id if it has one."""

    code: str
    kind: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a check looked at, and what it found."""

    taken_at: datetime
    orders: dict[str, int]
    payments: dict[str, int]
    reading: ProviderReading | None
    checked: tuple[str, ...]
    """The codes that were checked in full, as far as our own books are concerned."""
    left_out: dict[str, LeftOut]
    """The codes that were not checked, or not in full."""
    looked_at: frozenset[UUID] | None
    """The orders; None is all of them."""
    findings: list[Finding]
    grace: timedelta
    seconds: float


def check(
    *,
    reading: ProviderReading | None = None,
    scope: Scope = EVERYTHING,
    grace: timedelta = GRACE,
    progress: Progress = Progress.ON_TIME,
) -> Report:
    """Return everything that breaks an invariant, in one snapshot. Changes nothing, locks nothing.

    At the end of a test, with nothing under way any more::

        report = check(reading=read_providers(), grace=timedelta(), progress=Progress.AT_REST)
        assert report.findings == []

    In the middle of one, use ``progress=Progress.SOMETIME``: safety must hold in every snapshot.
    ``reading`` is what ``payments.provider_reconciliation.read_providers`` read before; without it
    the providers are not compared. If a provider outlives our rows, each new database needs another
    INSTALLATION_ID. Do not call it inside a transaction.
    """
    began = time.monotonic()
    with transaction.atomic(durable=True):
        _begin_snapshot()
        examination = Examination(reading, scope, grace, progress)
        findings = [
            finding for invariant in INVARIANTS for finding in examination.findings(invariant)
        ]
        return Report(
            taken_at=examination.now,
            orders=examination.count("orders_order", "id"),
            payments=examination.count("payments_payment", "order_id"),
            reading=reading,
            checked=tuple(examination.answered),
            left_out=examination.left_out,
            looked_at=None if scope.is_everything else frozenset(examination.orders),
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
        # Planned for the scope at hand: all orders, or a few.
        cursor.execute("SET LOCAL plan_cache_mode = force_custom_plan")
        # What moved lately is in memory. A check must not take the cores that orders need.
        cursor.execute("SET LOCAL random_page_cost = 1.1")
        cursor.execute("SET LOCAL max_parallel_workers_per_gather = 0")


class Examination:
    """The queries of one check, all in the caller's transaction."""

    def __init__(
        self,
        reading: ProviderReading | None,
        scope: Scope,
        grace: timedelta,
        progress: Progress,
    ) -> None:
        self.now: datetime = _rows("SELECT now()")[0][0]
        self.reading = reading
        self.scope = scope
        self.progress = progress
        self.orders = _orders(scope, self.now)
        self.answered: list[str] = []
        self.left_out: dict[str, LeftOut] = {}
        self._parameters: dict[str, object] = {
            "every_order": scope.is_everything,
            "orders": self.orders,
            "settled_before": reading.read_at - grace if reading else None,
            "complete_since": (reading.complete_since or LONG_AGO) if reading else None,
            **provider_relation.columns(reading.balances if reading else []),
        }

    def findings(self, invariant: Invariant) -> list[Finding]:
        """Return everything that breaks ``invariant``, the subjects in order."""
        omission = self._omission(invariant)
        if omission is not None:
            self.left_out[invariant.code] = omission
        if omission in (LeftOut.PROVIDER, LeftOut.HISTORY):
            return []
        parameters = {
            **self._parameters,
            **invariant.parameters,
            "overdue_since": self._overdue_since(invariant),
        }
        relations = provider_relation.RELATION if invariant.asks_provider else ""
        rows = _rows(f"{relations}{invariant.sql} LIMIT {MOST_FINDINGS}", parameters)
        if len(rows) == MOST_FINDINGS:
            self.left_out[invariant.code] = LeftOut.REST
        elif omission is not LeftOut.LATENESS:
            self.answered.append(invariant.code)
        details: dict[str, list[str]] = defaultdict(list)
        for subject, detail in rows:
            details[subject].append(detail)
        return [
            Finding(invariant.code, invariant.kind.value, subject, "; ".join(sorted(said)))
            for subject, said in sorted(details.items())
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
        """Return what of ``invariant`` this check leaves out."""
        if self.reading is None and invariant.asks_provider:
            return LeftOut.PROVIDER if invariant.needs_provider else LeftOut.PROVIDER_SIDE
        if invariant.sums_history and not self.scope.is_everything:
            return LeftOut.HISTORY
        if invariant.by and self.progress is Progress.SOMETIME:
            return LeftOut.LATENESS
        return None

    def _overdue_since(self, invariant: Invariant) -> datetime:
        if self.progress is Progress.SOMETIME and invariant.by:
            return LONG_AGO
        return self.now if self.progress is Progress.AT_REST else self.now - invariant.by


def _orders(scope: Scope, now: datetime) -> list[UUID]:
    """Return the orders of a scope that is not everything.

    Recent ones are read from three tables, so that an order without a journal is found too.
    """
    if scope.changed_within is None:
        return list(scope.orders)
    rows = _rows(
        """
        SELECT id FROM orders_order WHERE status IN ('placed', 'cancelling')
        UNION SELECT subject_id FROM sagas_sagarun WHERE status IN ('running', 'compensating')
        UNION SELECT id FROM orders_order WHERE created_at > %(since)s
        UNION SELECT order_id FROM orders_ordertransition WHERE at > %(since)s
        UNION SELECT r.subject_id FROM sagas_stepattempt s JOIN sagas_sagarun r ON r.id = s.run_id
            WHERE s.started_at > %(since)s
        UNION SELECT unnest(%(orders)s::uuid[])
        """,
        {"since": now - scope.changed_within, "orders": list(scope.orders)},
    )
    return [order_id for (order_id,) in rows]


def _rows(sql: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
