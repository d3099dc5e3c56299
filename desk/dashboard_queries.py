"""The data of the start page, from the database alone.

At most seventeen statements, each answered from an index, however many orders there are.
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
from sagas.queries.counts import (
    count_flagged,
    done_each_minute,
    last_sweeps,
    oldest_live,
    outcomes_within,
)
from sagas.queries.subjects import flagged_runs

LATELY: Final = timedelta(hours=1)
FAILURES: Final = ("rejected", "proceeded", "transient", "unknown", "lost", "failed")
COUNTED: Final = 10_000
SHOWN: Final = 8

_TABLE: Final = str(Order._meta.db_table)  # noqa: SLF001 - Django's documented API
# From the last ANALYZE: the table's size, and the share of each value.
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
    """The number of orders in one state."""

    status: OrderStatus
    orders: int
    is_exact: bool  # above COUNTED it is PostgreSQL's estimate


@dataclass(frozen=True, slots=True)
class StepFailures:
    """How often one step or compensation did not succeed in the last hour, by outcome."""

    step: str
    outcomes: dict[str, int]

    @property
    def times(self) -> int:
        return sum(self.outcomes.values())


@dataclass(frozen=True, slots=True)
class WaitingOrder:
    """An order whose run is unfinished or flagged."""

    order_id: UUID
    since: datetime
    what: str


@dataclass(frozen=True, slots=True)
class DashboardData:
    at: datetime
    status_counts: list[StatusCount]
    confirmed: list[tuple[datetime, int]]  # each minute of the last hour, the current one last
    step_failures: list[StepFailures]
    oldest: WaitingOrder | None
    flagged: int
    paused: int
    flagged_orders: list[WaitingOrder]  # the oldest ones
    open_breaks: int
    queues: list[QueueHealth]
    last_sweep: datetime | None
    systems: list[SystemHealth]


def dashboard_data() -> DashboardData:
    """Read everything, in several statements, so that figures may differ by what happened meanwhile."""
    now = timezone.now()
    marked, oldest = count_flagged(), oldest_live()
    flagged = flagged_runs().order_by("created_at")[:SHOWN]
    return DashboardData(
        at=now,
        status_counts=status_counts(),
        confirmed=_every_minute(done_each_minute(confirm_order.name, LATELY), now),
        step_failures=_step_failures(),
        oldest=WaitingOrder(oldest.subject_id, oldest.created_at, oldest.step) if oldest else None,
        flagged=marked.flagged,
        paused=marked.paused,
        flagged_orders=[
            WaitingOrder(each.subject_id, each.created_at, each.attention_reason)
            for each in flagged
        ],
        open_breaks=ReconciliationBreak.objects.filter(resolved_at__isnull=True).count(),
        queues=queues(),
        last_sweep=max((each.at for each in last_sweeps().values()), default=None),
        systems=system_health(),
    )


def status_counts() -> list[StatusCount]:
    """Count the orders in each state: exactly up to COUNTED, above by estimate."""
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


def _step_failures() -> list[StepFailures]:
    found: dict[str, dict[str, int]] = {}
    for count in outcomes_within(LATELY):
        if count.outcome in FAILURES:
            found.setdefault(count.name, {})[count.outcome] = count.attempts
    step_failures = [StepFailures(name, outcomes) for name, outcomes in found.items()]
    return sorted(step_failures, key=lambda each: -each.times)


def _every_minute(counted: dict[datetime, int], now: datetime) -> list[tuple[datetime, int]]:
    this = now.replace(second=0, microsecond=0)
    minutes = [this - timedelta(minutes=before) for before in reversed(range(60))]
    return [(minute, counted.get(minute, 0)) for minute in minutes]
