"""Moving a run's time instead of waiting for it: every wait of its rows ends a day earlier."""

from datetime import datetime, timedelta

from django.db import connection
from django.db.models import F

from sagas.models import SagaRun
from sagas.sweep import sweep
from tests.support.in_memory_broker import MessageQueue

A_DAY = timedelta(days=1)


def let_time_pass(run: SagaRun) -> None:
    """Have the lease run out, every back-off end, and the run be due for the sweep."""
    SagaRun.objects.filter(pk=run.pk).update(
        leased_until=F("leased_until") - A_DAY,
        not_before=F("not_before") - A_DAY,
        wake_at=F("wake_at") - A_DAY,
    )
    run.records.update(not_before=F("not_before") - A_DAY)


def wake_run(run: SagaRun, messages: MessageQueue) -> None:
    """Let time pass, have the sweep find the run, and deliver what it sends."""
    let_time_pass(run)
    sweep()
    messages.deliver_all()
    run.refresh_from_db()


def database_time() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    assert isinstance(now, datetime)
    return now
