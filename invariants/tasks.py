"""Celery tasks that check the invariants: recent orders each minute, all orders each day.

At most one check runs at a time.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from celery import shared_task
from django.db import connection

from invariants.break_store import orders_with_breaks, record
from invariants.checking import ALL_ORDERS, RECENT, OrderScope, check
from payments.errors import PaymentError
from payments.provider_reconciliation import ProviderReading, read_providers, read_recent

if TYPE_CHECKING:
    from celery import Task

log = logging.getLogger(__name__)

DAILY_PROVIDER_WINDOW: Final = timedelta(days=3)
"""How much of the providers' history the daily check reads. It needs one day; two more cover days on
which the check failed. Only ``manage.py check_invariants --full`` reads all of it."""

LOCK_KEY: Final = 0x484F4C44
"""The key of the advisory lock that each check takes."""

RETRY_DELAY: Final = timedelta(seconds=30)


@shared_task(name="invariants.check")
def check_recent() -> None:
    """Check the orders that have not ended or moved in the last hour, and record the findings.

    Does nothing while another check runs. Safe to repeat: see ``record``.
    """
    with check_lock() as is_locked:
        if is_locked:
            scope = OrderScope(changed_within=RECENT, orders=orders_with_breaks())
            _check(scope, lambda: read_recent(RECENT))


@shared_task(
    name="invariants.check_everything",
    bind=True,
    max_retries=20,
    soft_time_limit=1740,
    time_limit=1800,
)
def check_everything(self: "Task[[], None]") -> None:
    """Check all orders, and record the findings. While another check runs, retry later."""
    with check_lock() as is_locked:
        if is_locked:
            _check(ALL_ORDERS, lambda: read_providers(within=DAILY_PROVIDER_WINDOW))
            return
    raise self.retry(countdown=RETRY_DELAY.total_seconds())


@contextmanager
def check_lock() -> Iterator[bool]:
    """Try to take the lock of the checks; yield whether it was taken.

    So checks use at most one slot of the queue, and the sweep always finds another. PostgreSQL frees
    the lock of a process that died.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK_KEY])
        is_locked = bool(cursor.fetchone()[0])
    try:
        yield is_locked
    finally:
        if is_locked:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK_KEY])


def _check(scope: OrderScope, read: Callable[[], ProviderReading]) -> None:
    """Check, and record the findings. A provider that does not answer is left out, which is no finding."""
    reading = None
    problem = ""
    try:
        reading = read()
    except PaymentError as error:
        problem = f"{type(error).__name__}: {error}"
        log.warning("provider.not_compared", extra={"problem": problem})
    report = check(reading=reading, scope=scope)
    recorded = record(report)
    log.info(
        "invariants.checked",
        extra={
            "orders": sum(report.orders.values()),
            "provider_payments": len(reading.payments) if reading else None,
            "findings": len(report.findings),
            "paused": recorded.paused,
            "seconds": round(report.seconds, 3),
        },
    )
