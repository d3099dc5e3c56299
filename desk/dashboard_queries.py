"""Reads the data of the dashboard from the database.

At most nineteen statements. Each uses an index, so the cost does not grow with the orders. Waiting runs are
counted once a minute: that count grows with them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection
from django.utils import timezone

from clock.now import now
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
    oldest_moving,
    outcomes_within,
)
from sagas.queries.recent_waits import recent_waits
from sagas.queries.subjects import flagged_runs
from sagas.queries.waits import wait_name

WINDOW: Final = timedelta(hours=1)
FAILED_OUTCOMES: Final = ("rejected", "proceeded", "transient", "unknown", "lost", "failed")
MAX_COUNTED: Final = 10_000
MAX_FLAGGED_SHOWN: Final = 8

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
    is_exact: bool  # False from MAX_COUNTED: PostgreSQL's estimate


@dataclass(frozen=True, slots=True)
class StepFailures:
    """The failed attempts of one step or compensation in the last hour, by outcome."""

    step: str
    outcomes: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.outcomes.values())


@dataclass(frozen=True, slots=True)
class WaitingOrder:
    """An order whose run is unfinished or flagged. ``text`` is its step, or why it is flagged."""

    order_id: UUID
    since: datetime
    text: str


@dataclass(frozen=True, slots=True)
class WaitRow:
    """How many runs wait for the same thing, since when, and how many are past their deadline."""

    code: str
    name: str
    runs: int
    oldest_since: datetime
    overdue: int


@dataclass(frozen=True, slots=True)
class DashboardData:
    """The figures of the dashboard, read at ``at``."""

    at: datetime
    status_counts: list[StatusCount]
    confirmed: list[tuple[datetime, int]]  # each minute of the last hour, the current one last
    step_failures: list[StepFailures]
    oldest: WaitingOrder | None  # of those that do not wait
    flagged: int
    paused: int
    flagged_orders: list[WaitingOrder]  # the oldest ones
    waits: list[WaitRow]  # at most a minute old
    open_breaks: int
    queues: list[QueueHealth]
    swept_ago: timedelta | None  # by the real time; None before the first sweep
    systems: list[SystemHealth]

    @property
    def unfinished(self) -> int:
        """Return how many orders are placed or being cancelled."""
        open_statuses = (OrderStatus.PLACED, OrderStatus.CANCELLING)
        return sum(count.orders for count in self.status_counts if count.status in open_statuses)


def dashboard_data() -> DashboardData:
    """Read all figures. Each statement has its own snapshot, so figures may differ slightly."""
    at = now()
    marked, oldest = count_flagged(), oldest_moving()
    flagged = flagged_runs().order_by("created_at")[:MAX_FLAGGED_SHOWN]
    return DashboardData(
        at=at,
        status_counts=status_counts(),
        confirmed=_every_minute(done_each_minute(confirm_order.name, WINDOW), at),
        step_failures=_step_failures(),
        oldest=WaitingOrder(oldest.subject_id, oldest.created_at, oldest.step) if oldest else None,
        flagged=marked.flagged,
        paused=marked.paused,
        flagged_orders=[
            WaitingOrder(run.subject_id, run.created_at, run.attention_reason) for run in flagged
        ],
        waits=[
            WaitRow(
                waiting.waits_for,
                wait_name(waiting.waits_for),
                waiting.runs,
                waiting.oldest_since,
                waiting.overdue,
            )
            for waiting in recent_waits.read()
        ],
        open_breaks=ReconciliationBreak.objects.filter(resolved_at__isnull=True).count(),
        queues=queues(),
        swept_ago=_swept_ago(),
        systems=system_health(),
    )


def _swept_ago() -> timedelta | None:
    sweeps = [sweep.at for sweep in last_sweeps().values()]
    return max(timezone.now() - max(sweeps), timedelta()) if sweeps else None


def status_counts() -> list[StatusCount]:
    """Count the orders in each state: exactly below MAX_COUNTED, then by PostgreSQL's estimate."""
    counted = {
        status: Order.objects.filter(status=status).order_by()[:MAX_COUNTED].count()
        for status in OrderStatus
    }
    estimated = _estimated() if MAX_COUNTED in counted.values() else {}
    return [
        StatusCount(status, counted[status], is_exact=True)
        if counted[status] < MAX_COUNTED
        else StatusCount(status, max(MAX_COUNTED, estimated.get(status, 0)), is_exact=False)
        for status in OrderStatus
    ]


def _estimated() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(_ESTIMATES, {"table": _TABLE})
        return dict(cursor.fetchall())


def _step_failures() -> list[StepFailures]:
    by_step: dict[str, dict[str, int]] = {}
    for counted in outcomes_within(WINDOW):
        if counted.outcome in FAILED_OUTCOMES:
            by_step.setdefault(counted.name, {})[counted.outcome] = counted.attempts
    step_failures = [StepFailures(name, outcomes) for name, outcomes in by_step.items()]
    return sorted(step_failures, key=lambda failures: -failures.total)


def _every_minute(counted: dict[datetime, int], now: datetime) -> list[tuple[datetime, int]]:
    this_minute = now.replace(second=0, microsecond=0)
    minutes = [this_minute - timedelta(minutes=before) for before in reversed(range(60))]
    return [(minute, counted.get(minute, 0)) for minute in minutes]
