"""Records findings as breaks, and pauses the orders whose money they are about."""

import logging
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import DatabaseError, connection, transaction
from django.db.models import Count, QuerySet

from clock.now import Now
from invariants.catalogue import INVARIANTS
from invariants.checking import CheckReport, Examination, OrderScope, Strictness
from invariants.invariant import Kind
from invariants.models import ReconciliationBreak
from orders.models import Order
from payments.errors import PaymentError
from payments.provider_reconciliation import (
    ProviderReading,
    provider_payments_of,
    read_payments,
)
from sagas.errors import UnknownSaga
from sagas.pause_reasons import PauseReason
from sagas.services import pause

log = logging.getLogger(__name__)

NO_LONGER_FOUND: Final = "no longer found"

SEEN_BEFORE_PAUSING: Final = 2
"""How many checks must find a break before it pauses its order: work under way is done by the second."""

INVARIANTS_BY_CODE: Final = {invariant.code: invariant for invariant in INVARIANTS}


@dataclass(frozen=True, slots=True)
class BreakChanges:
    """How many breaks a report changed, and how many orders it paused."""

    opened: int
    seen_again: int
    resolved: int
    paused: int


def open_breaks() -> QuerySet[ReconciliationBreak]:
    return ReconciliationBreak.objects.filter(resolved_at__isnull=True)


def count_open_breaks() -> dict[str, int]:
    """Return the number of open breaks by invariant code. A code without open breaks is left out."""
    counted = open_breaks().values("code").annotate(breaks=Count("pk")).order_by("code")
    return dict(counted.values_list("code", "breaks"))


def orders_with_breaks() -> frozenset[UUID]:
    """Return the orders with an open break. Every check covers them until the break is resolved."""
    subjects = open_breaks().values_list("subject", flat=True).distinct()
    return frozenset(order_id for order_id in map(order_id_of, subjects) if order_id is not None)


def breaks_about(order_id: UUID) -> list[ReconciliationBreak]:
    """Return every break about an order, open or resolved, oldest first."""
    return list(ReconciliationBreak.objects.filter(subject=str(order_id)).order_by("first_seen"))


def order_id_of(subject: str) -> UUID | None:
    """Return the order id that a subject holds; None if it is about something else."""
    try:
        return UUID(subject)
    except ValueError:
        return None


def record(report: CheckReport) -> BreakChanges:
    """Store a check's findings as breaks, resolve breaks that are gone, and pause orders in doubt.

    May run concurrently: an open break is one row, and a report resolves no break that was seen
    after the report was made. Recording a report again counts its findings again. A crash leaves
    the breaks stored or not, all together; the next check pauses the orders.

    A break about money pauses its order after two checks have found it. Before that it is checked
    once more under the lock of the order's run, with a new reading of the provider if the
    invariant needs one. A break pauses its order once: after staff resume it, it runs on.

    An order that cannot be paused now, for example because the provider does not answer, is
    logged and left to the next check.
    """
    with transaction.atomic():
        seen_again = _write(report)
        resolved = _resolve_gone(report)
    paused = sum(_pause(doubt, report) for doubt in _breaks_to_pause(report))
    recorded = BreakChanges(len(report.findings) - seen_again, seen_again, resolved, paused)
    if report.findings or resolved:
        log.error(
            "invariants.broken",
            extra={
                "findings": [f"{finding.code} {finding.subject}" for finding in report.findings],
                "opened": recorded.opened,
                "resolved": resolved,
                "paused": paused,
            },
        )
    return recorded


def resolve(break_id: int, note: str, actor: str) -> bool:
    """Close an open break with a staff member's note. Returns False, with no change, if it was not open."""
    closing = open_breaks().filter(pk=break_id)
    return closing.update(resolved_at=Now(), resolution=note, resolved_by=actor) == 1


def _write(report: CheckReport) -> int:
    """Open a break for each finding, or count it as seen again; return how many were seen again."""
    findings = sorted(report.findings, key=lambda finding: (finding.code, finding.subject))
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
                "codes": [finding.code for finding in findings],
                "kinds": [finding.kind for finding in findings],
                "subjects": [finding.subject for finding in findings],
                "details": [finding.detail for finding in findings],
            },
        )
        return sum(times > 1 for (times,) in cursor.fetchall())


def _resolve_gone(report: CheckReport) -> int:
    """Resolve the breaks that this check would have found and did not; return how many."""
    found = {(finding.code, finding.subject) for finding in report.findings}
    candidates = open_breaks().filter(code__in=report.checked_codes)
    missing = [old for old in candidates if (old.code, old.subject) not in found]
    fully_read = _orders_read_in_full(report.reading, missing)
    gone = [old.pk for old in missing if _was_covered(old, report, fully_read)]
    return (
        open_breaks()
        .filter(pk__in=gone, last_seen__lt=report.taken_at)
        .update(resolved_at=report.taken_at, resolution=NO_LONGER_FOUND)
    )


def _was_covered(
    old: ReconciliationBreak, report: CheckReport, fully_read: frozenset[UUID] | None
) -> bool:
    invariant = INVARIANTS_BY_CODE[old.code]
    order = order_id_of(old.subject)
    if (
        invariant.is_about_orders
        and report.checked_orders is not None
        and order not in report.checked_orders
    ):
        return False
    return not invariant.asks_provider or fully_read is None or order in fully_read


def _orders_read_in_full(
    reading: ProviderReading | None, breaks: list[ReconciliationBreak]
) -> frozenset[UUID] | None:
    """Return the orders whose payments the reading has in full; None for all orders.

    A payment is younger than its order.
    """
    if reading is None:
        return frozenset()
    if reading.complete_since is None:
        return None
    order_ids = [order for old in breaks if (order := order_id_of(old.subject)) is not None]
    young = Order.objects.filter(pk__in=order_ids, created_at__gte=reading.complete_since)
    return frozenset(young.values_list("pk", flat=True))


def _breaks_to_pause(report: CheckReport) -> list[ReconciliationBreak]:
    """Return the breaks of a report that should pause their orders."""
    found = {(finding.code, finding.subject) for finding in report.findings}
    repeated = open_breaks().filter(
        kind=Kind.MONEY, times_seen__gte=SEEN_BEFORE_PAUSING, order_paused_at__isnull=True
    )
    return [again for again in repeated if (again.code, again.subject) in found]


def _pause(doubt: ReconciliationBreak, report: CheckReport) -> bool:
    """Pause the order of a break if a new check still finds it; return whether it was paused."""
    order_id = order_id_of(doubt.subject)
    if order_id is None:
        return False
    try:
        asks_provider = INVARIANTS_BY_CODE[doubt.code].asks_provider
        reading = _read_again(order_id, report) if asks_provider else None
        return _pause_under_lock(doubt, order_id, reading, report)
    except (PaymentError, DatabaseError, UnknownSaga) as error:
        # The next check finds it again.
        log.warning(
            "pausing.failed", extra={"subject": doubt.subject, "error": type(error).__name__}
        )
        return False


def _read_again(order_id: UUID, report: CheckReport) -> ProviderReading | None:
    if report.reading is None:
        return None
    listed = {state.key for state in report.reading.payments if state.order_id == str(order_id)}
    return read_payments(listed | provider_payments_of(order_id))


def _pause_under_lock(
    doubt: ReconciliationBreak, order_id: UUID, reading: ProviderReading | None, report: CheckReport
) -> bool:
    """Lock the run by pausing it, check again, and roll the pause back if nothing is found."""
    scope = OrderScope(orders=frozenset({order_id}))
    with transaction.atomic():
        if not pause(order_id, PauseReason.MONEY_IN_DOUBT, doubt.detail, actor=doubt.code):
            return False
        examination = Examination(reading, scope, report.grace, Strictness.ON_TIME)
        if not examination.findings(INVARIANTS_BY_CODE[doubt.code]):
            transaction.set_rollback(True)
            return False
        open_breaks().filter(pk=doubt.pk).update(order_paused_at=Now())
    return True
