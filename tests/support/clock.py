"""The one clock of the tests: it moves the time of runs and orders, so that no test waits for it."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import F, QuerySet

from sagas.models import SagaRun, StepAttempt
from sagas.sweep import sweep
from sandbox.stripe_process import SandboxServer
from tests.support.in_memory_broker import MessageQueue

A_DAY: Final = timedelta(days=1)
TWO_HOURS: Final = timedelta(hours=2)

DATES: Final = {
    "placed": "UPDATE orders_order SET created_at = created_at - %(by)s::interval WHERE id = %(order)s",
    "moved": "UPDATE orders_ordertransition SET at = at - %(by)s::interval WHERE order_id = %(order)s",
    "worked on": "UPDATE sagas_stepattempt SET started_at = started_at - %(by)s::interval"
    " WHERE run_id IN (SELECT id FROM sagas_sagarun WHERE subject_id = %(order)s)",
}
"""How to date back each record of when something last happened to an order."""


def database_time() -> datetime:
    """Return the time by the clock that all of our rows are dated with."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    assert isinstance(now, datetime)
    return now


def advance(
    duration: timedelta,
    *,
    runs: QuerySet[SagaRun] | None = None,
    sandbox_stripe: SandboxServer | None = None,
) -> None:
    """Bring every lease, back-off and time to wake nearer, of all runs by default.

    The provider's clock moves as well when it is given.
    """
    chosen = SagaRun.objects.all() if runs is None else runs
    StepAttempt.objects.filter(run__in=chosen, not_before__isnull=False).update(
        not_before=F("not_before") - duration
    )
    chosen.update(
        leased_until=F("leased_until") - duration,
        not_before=F("not_before") - duration,
        waiting_since=F("waiting_since") - duration,
        waiting_until=F("waiting_until") - duration,
        wake_at=F("wake_at") - duration,
    )
    if sandbox_stripe is not None:
        sandbox_stripe.advance(int(duration.total_seconds()))


def let_time_pass(run: SagaRun) -> None:
    """Expire the run's lease, end its back-offs, and make it due for the sweep."""
    advance(A_DAY, runs=SagaRun.objects.filter(pk=run.pk))


def wake_run(run: SagaRun, messages: MessageQueue) -> None:
    """Advance time, sweep, and deliver what the sweep sends."""
    let_time_pass(run)
    sweep()
    messages.deliver_all()
    run.refresh_from_db()


def backdate(order_id: UUID, *, by: timedelta = TWO_HOURS, but: str = "") -> None:
    """Move what happened to an order into the past, except the record of DATES named ``but``."""
    with connection.cursor() as cursor:
        for record, statement in DATES.items():
            if record != but:
                cursor.execute(statement, {"by": str(by), "order": order_id})
