"""The one clock of the tests: it moves the time of runs and orders instead of waiting for it."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import F, QuerySet

from sagas.models import SagaRun, StepAttempt
from sagas.sweep import sweep
from sandbox.stripe_process import SandboxServer
from tests.support.in_memory_broker import MessageQueue

A_DAY: Final = timedelta(days=1)

DATES: Final = {
    "placed": "UPDATE orders_order SET created_at = created_at - interval '2 h' WHERE id = %s",
    "moved": "UPDATE orders_ordertransition SET at = at - interval '2 h' WHERE order_id = %s",
    "worked on": "UPDATE sagas_stepattempt SET started_at = started_at - interval '2 h'"
    " WHERE run_id IN (SELECT id FROM sagas_sagarun WHERE subject_id = %s)",
}
"""How to date back each record of when something last happened to an order."""


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
        wake_at=F("wake_at") - duration,
    )
    if sandbox_stripe is not None:
        sandbox_stripe.advance(int(duration.total_seconds()))


def let_time_pass(run: SagaRun) -> None:
    """Expire the run's lease, end its back-offs, and make it due for the sweep."""
    advance(A_DAY, runs=SagaRun.objects.filter(pk=run.pk))


def wake_run(run: SagaRun, messages: MessageQueue) -> None:
    """Let time pass, sweep, and deliver what the sweep sends."""
    let_time_pass(run)
    sweep()
    messages.deliver_all()
    run.refresh_from_db()


def backdate(order_id: UUID, *, but: str = "") -> None:
    """Date what happened to an order back by two hours, except the record named ``but``."""
    with connection.cursor() as cursor:
        for record, statement in DATES.items():
            if record != but:
                cursor.execute(statement, [order_id])
