"""Records findings as breaks, and pauses the orders whose money they are about."""

import logging
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import DatabaseError, connection, transaction
from django.db.models import Count, QuerySet
from django.db.models.functions import Now

from invariants.catalogue import INVARIANTS
from invariants.checking import Examination, Progress, Report, Scope
from invariants.invariant import Kind
from invariants.models import ReconciliationBreak
from orders.models import Order
from payments.errors import PaymentError
from payments.provider_reconciliation import (
    ProviderReading,
    provider_payments_of,
    read_again,
)
from sagas.errors import UnknownSaga
from sagas.pause_reasons import PauseReason
from sagas.services import pause

log = logging.getLogger(__name__)

NO_LONGER_FOUND: Final = "no longer found"

SEEN_BEFORE_PAUSING: Final = 2
"""How many checks must find it: what was only under way is gone in the second."""

BY_CODE: Final = {invariant.code: invariant for invariant in INVARIANTS}


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a report changed in the breaks."""

    opened: int
    seen_again: int
    resolved: int
    paused: int


def open_breaks() -> QuerySet[ReconciliationBreak]:
    return ReconciliationBreak.objects.filter(resolved_at__isnull=True)


def count_open_breaks() -> dict[str, int]:
    """Count the open breaks by the code of their invariant; those without any are left out."""
    counted = open_breaks().values("code").annotate(breaks=Count("pk")).order_by("code")
    return dict(counted.values_list("code", "breaks"))


def orders_with_breaks() -> frozenset[UUID]:
    """Name the orders that have an open break: they are looked at until it is resolved."""
    subjects = open_breaks().values_list("subject", flat=True).distinct()
    return frozenset(each for each in map(order_named, subjects) if each is not None)


def breaks_about(order_id: UUID) -> list[ReconciliationBreak]:
    """Return what was ever found about an order, oldest first."""
    return list(ReconciliationBreak.objects.filter(subject=str(order_id)).order_by("first_seen"))


def order_named(subject: str) -> UUID | None:
    """Return the order that a subject is; None where it is something else."""
    try:
        return UUID(subject)
    except ValueError:
        return None


def record(report: Report) -> Recorded:
    """Write down what a check found and what it no longer finds, and pause orders in doubt.

    Any number of recorders may run at once: a break is one row while it is open, and a report
    resolves nothing that was seen after it was made. A break about money pauses its order when it
    was seen in two checks, and is still there when it is read again under the lock of the order's
    run, with a new reading of the provider if that was compared. It does so once: an order that
    staff have resumed is not paused again.
    """
    with transaction.atomic():
        seen_again = _write(report)
        resolved = _resolve_gone(report)
    paused = sum(_pause(each, report) for each in _in_doubt(report))
    recorded = Recorded(len(report.findings) - seen_again, seen_again, resolved, paused)
    if report.findings or resolved:
        log.error(
            "invariants.broken",
            extra={
                "findings": [f"{each.code} {each.subject}" for each in report.findings],
                "opened": recorded.opened,
                "resolved": resolved,
                "paused": paused,
            },
        )
    return recorded


def resolve(break_id: int, note: str, actor: str) -> bool:
    """Close an open break with what a person has to say about it; True if it was open."""
    closing = open_breaks().filter(pk=break_id)
    return closing.update(resolved_at=Now(), resolution=note, resolved_by=actor) == 1


def _write(report: Report) -> int:
    """Open a break for each finding, or note that it was seen again; return how many were."""
    findings = sorted(report.findings, key=lambda each: (each.code, each.subject))
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO invariants_reconciliationbreak AS b
                (code, kind, subject, detail, first_seen, last_seen, times_seen,
                 resolution, resolved_by)
            SELECT code, kind, subject, detail, %(at)s, %(at)s, 1, '', ''
            FROM unnest(%(codes)s::text[], %(kinds)s::text[], %(subjects)s::text[],
                        %(details)s::text[]) AS found(code, kind, subject, detail)
            ON CONFLICT (code, subject) WHERE resolved_at IS NULL DO UPDATE
            SET times_seen = b.times_seen + 1, last_seen = greatest(b.last_seen, excluded.last_seen),
                detail = excluded.detail
            RETURNING times_seen
            """,
            {
                "at": report.taken_at,
                "codes": [each.code for each in findings],
                "kinds": [each.kind for each in findings],
                "subjects": [each.subject for each in findings],
                "details": [each.detail for each in findings],
            },
        )
        return sum(times > 1 for (times,) in cursor.fetchall())


def _resolve_gone(report: Report) -> int:
    """Resolve what this check would have found if it were still there; return how many."""
    found = {(each.code, each.subject) for each in report.findings}
    asked = open_breaks().filter(code__in=report.checked)
    missing = [each for each in asked if (each.code, each.subject) not in found]
    fully_read = _orders_read_in_full(report.reading, missing)
    gone = [each.pk for each in missing if _was_looked_at(each, report, fully_read)]
    return (
        open_breaks()
        .filter(pk__in=gone, last_seen__lt=report.taken_at)
        .update(resolved_at=report.taken_at, resolution=NO_LONGER_FOUND)
    )


def _was_looked_at(
    each: ReconciliationBreak, report: Report, fully_read: frozenset[UUID] | None
) -> bool:
    invariant = BY_CODE[each.code]
    order = order_named(each.subject)
    if invariant.is_about_orders and report.looked_at is not None and order not in report.looked_at:
        return False
    return not invariant.asks_provider or fully_read is None or order in fully_read


def _orders_read_in_full(
    reading: ProviderReading | None, breaks: list[ReconciliationBreak]
) -> frozenset[UUID] | None:
    """Return the orders of which a reading has every payment; None is all of them.

    A payment is younger than its order.
    """
    if reading is None:
        return frozenset()
    if reading.complete_since is None:
        return None
    named = [order for found in breaks if (order := order_named(found.subject)) is not None]
    young = Order.objects.filter(pk__in=named, created_at__gte=reading.complete_since)
    return frozenset(young.values_list("pk", flat=True))


def _in_doubt(report: Report) -> list[ReconciliationBreak]:
    """Find the breaks of a report for which an order is to be paused."""
    found = {(each.code, each.subject) for each in report.findings}
    repeated = open_breaks().filter(
        kind=Kind.MONEY, times_seen__gte=SEEN_BEFORE_PAUSING, order_paused_at__isnull=True
    )
    return [each for each in repeated if (each.code, each.subject) in found]


def _pause(each: ReconciliationBreak, report: Report) -> bool:
    """Pause the order of a break if it is still broken; return whether it is paused now."""
    order_id = order_named(each.subject)
    if order_id is None:
        return False
    try:
        asks_provider = BY_CODE[each.code].asks_provider
        reading = _read_again(order_id, report) if asks_provider else None
        return _pause_under_lock(each, order_id, reading, report)
    except (PaymentError, DatabaseError, UnknownSaga) as error:
        # The next check finds it again.
        log.warning(
            "pausing.failed", extra={"subject": each.subject, "error": type(error).__name__}
        )
        return False


def _read_again(order_id: UUID, report: Report) -> ProviderReading | None:
    if report.reading is None:
        return None
    listed = {
        balance.key for balance in report.reading.balances if balance.order_id == str(order_id)
    }
    return read_again(listed | provider_payments_of(order_id))


def _pause_under_lock(
    each: ReconciliationBreak, order_id: UUID, reading: ProviderReading | None, report: Report
) -> bool:
    """Lock the run by pausing it, check once more, and undo the pause if nothing is found."""
    scope = Scope(orders=frozenset({order_id}))
    with transaction.atomic():
        if not pause(order_id, PauseReason.MONEY_IN_DOUBT, each.detail, actor=each.code):
            return False
        examination = Examination(reading, scope, report.grace, Progress.ON_TIME)
        if not examination.findings(BY_CODE[each.code]):
            transaction.set_rollback(True)
            return False
        open_breaks().filter(pk=each.pk).update(order_paused_at=Now())
    return True
