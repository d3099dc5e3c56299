"""Checking from beat: lately moved orders each minute, everything each day, never two at once."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from celery import shared_task
from django.db import connection

from invariants.break_store import orders_with_breaks, record
from invariants.checking import EVERYTHING, RECENT, Scope, check
from payments.errors import PaymentError
from payments.provider_reconciliation import ProviderReading, read_providers, read_recent

if TYPE_CHECKING:
    from celery import Task

log = logging.getLogger(__name__)

DAYS_AT_THE_PROVIDER: Final = timedelta(days=3)
"""How much of the providers' history the daily check reads: two days more than it needs, for
checks that failed. Only ``manage.py check_invariants --full`` reads all of it."""

LOCK: Final = 0x484F4C44
"""The key of the advisory lock under which one check runs."""

PATIENCE: Final = timedelta(seconds=30)


@shared_task(name="invariants.check")
def check_recent() -> None:
    """Check and record what has not ended or moved lately, unless a check is running."""
    with alone() as is_alone:
        if is_alone:
            scope = Scope(changed_within=RECENT, orders=orders_with_breaks())
            _check(scope, lambda: read_recent(RECENT))


@shared_task(
    name="invariants.check_everything",
    bind=True,
    max_retries=20,
    soft_time_limit=1740,
    time_limit=1800,
)
def check_everything(self: "Task[[], None]") -> None:
    """Check and record everything; while another check runs, come back a little later."""
    with alone() as is_alone:
        if is_alone:
            _check(EVERYTHING, lambda: read_providers(within=DAYS_AT_THE_PROVIDER))
            return
    raise self.retry(countdown=PATIENCE.total_seconds())


@contextmanager
def alone() -> Iterator[bool]:
    """Take the lock of the checks, or say that another one has it; PostgreSQL frees a dead one's.

    So checks take one slot of the queue at most, and the sweep always finds another.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        is_alone = bool(cursor.fetchone()[0])
    try:
        yield is_alone
    finally:
        if is_alone:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def _check(scope: Scope, read: Callable[[], ProviderReading]) -> None:
    """Check and record. A provider that does not answer is not compared, which is no finding."""
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
            "provider_payments": len(reading.balances) if reading else None,
            "findings": len(report.findings),
            "paused": recorded.paused,
            "seconds": round(report.seconds, 3),
        },
    )
