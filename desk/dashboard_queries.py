"""What the start page shows: how the installation does at this moment, from the database alone.

Seventeen statements at most, each over an index, however many orders there ever were.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection
from django.utils import timezone

from invariants.models import ReconciliationBreak
from monitoring.heartbeats import QueueHealth, queues
from monitoring.system_health import SystemHealth, system_health
from orders.models import Order
from orders.states import OrderStatus
from orders.steps import confirm_order
from sagas.figures import (
    count_flagged,
    done_each_minute,
    last_sweeps,
    oldest_live,
    outcomes_within,
)
from sagas.history import flagged_runs

LATELY: Final = timedelta(hours=1)
FAILURES: Final = ("rejected", "proceeded", "transient", "unknown", "lost", "failed")
COUNTED: Final = 10_000
SHOWN: Final = 8

_TABLE: Final = str(Order._meta.db_table)  # noqa: SLF001 - Django's documented API
# What ANALYZE last saw: a table's size, and which share of it has which value.
_ESTIMATES: Final = """
    SELECT common.status, (greatest(c.reltuples, 0) * common.share)::bigint
    FROM pg_stats s
    JOIN pg_class c ON c.oid = %(table)s::text::regclass
    CROSS JOIN unnest(s.most_common_vals::text::text[], s.most_common_freqs)
        AS common (status, share)
    WHERE s.schemaname = current_schema() AND s.tablename = %(table)s::text AND s.attname = 'status'
"""


@dataclass(frozen=True, slots=True)
class StatusCount:
    """How many orders are in one state."""

    status: OrderStatus
    orders: int
    is_exact: bool  # up to COUNTED; above, an estimate of PostgreSQL's


@dataclass(frozen=True, slots=True)
class Failing:
    """How often one step, or its compensation, did not get a yes in the last hour."""

    step: str
    outcomes: dict[str, int]

    @property
    def times(self) -> int:
        return sum(self.outcomes.values())


@dataclass(frozen=True, slots=True)
class Waiting:
    """An order whose run has not ended, or waits for a person."""

    order_id: UUID
    since: datetime
    what: str


@dataclass(frozen=True, slots=True)
class Overview:
    at: datetime
    status_counts: list[StatusCount]
    confirmed: list[tuple[datetime, int]]  # each minute of the last hour, the present one last
    failing: list[Failing]
    oldest: Waiting | None
    flagged: int
    paused: int
    flagged_orders: list[Waiting]  # those that wait for longest
    open_breaks: int
    queues: list[QueueHealth]
    last_sweep: datetime | None
    systems: list[SystemHealth]


def overview() -> Overview:
    """Read everything; a busy shop may move between two statements."""
    now = timezone.now()
    marked, oldest = count_flagged(), oldest_live()
    flagged = flagged_runs().order_by("created_at")[:SHOWN]
    return Overview(
        at=now,
        status_counts=status_counts(),
        confirmed=_every_minute(done_each_minute(confirm_order.name, LATELY), now),
        failing=_failing(),
        oldest=Waiting(oldest.subject_id, oldest.created_at, oldest.step) if oldest else None,
        flagged=marked.flagged,
        paused=marked.paused,
        flagged_orders=[
            Waiting(each.subject_id, each.created_at, each.attention_reason) for each in flagged
        ],
        open_breaks=ReconciliationBreak.objects.filter(resolved_at__isnull=True).count(),
        queues=queues(),
        last_sweep=max((each.at for each in last_sweeps().values()), default=None),
        systems=system_health(),
    )


def status_counts() -> list[StatusCount]:
    """Count the orders in each state: exactly up to COUNTED of them, and from there by estimate."""
    counted = {
        status: Order.objects.filter(status=status).order_by()[:COUNTED].count()
        for status in OrderStatus
    }
    estimated = _estimated() if COUNTED in counted.values() else {}
    return [
        StatusCount(status, counted[status], is_exact=True)
        if counted[status] < COUNTED
        else StatusCount(status, max(COUNTED, estimated.get(status, 0)), is_exact=False)
        for status in OrderStatus
    ]


def _estimated() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(_ESTIMATES, {"table": _TABLE})
        return dict(cursor.fetchall())


def _failing() -> list[Failing]:
    found: dict[str, dict[str, int]] = {}
    for each in outcomes_within(LATELY):
        if each.outcome in FAILURES:
            found.setdefault(each.name, {})[each.outcome] = each.attempts
    failing = [Failing(name, outcomes) for name, outcomes in found.items()]
    return sorted(failing, key=lambda each: -each.times)


def _every_minute(counted: dict[datetime, int], now: datetime) -> list[tuple[datetime, int]]:
    this = now.replace(second=0, microsecond=0)
    minutes = [this - timedelta(minutes=before) for before in reversed(range(60))]
    return [(minute, counted.get(minute, 0)) for minute in minutes]
