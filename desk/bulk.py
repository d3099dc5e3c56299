"""Creates bulk actions, and processes their orders one after the other. A crash loses no order."""

import logging
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid5

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Count, F, Q

from clock.now import Now
from desk.actions import ActionRequest, TokenReused, execute
from desk.bulk_queue import queue_bulk_actions
from desk.models import ActionKind, BulkAction, BulkItem, ItemOutcome

log = logging.getLogger(__name__)

MAX_ORDERS: Final = 10_000
"""The most orders of one bulk action."""

SLICE_SECONDS: Final = 2.0
"""How long one task processes items. Sweeps on the same queue wait no longer than this."""

LEASE: Final = timedelta(seconds=30)
"""Longer than a slice can take with its last order. After a crash the next worker waits this long."""

MAX_FAILURES: Final = 3


def create_bulk_action(
    kind: ActionKind,
    operator: User,
    order_ids: Sequence[UUID],
    *,
    reason: str,
    selection: str,
    token: UUID,
) -> BulkAction:
    """Create a bulk action with an item for each order, and queue its processing.

    A repetition with the same token returns the first bulk action. Raises TokenReused if that one
    has another operator or kind.
    """
    try:
        with transaction.atomic():
            bulk = BulkAction.objects.create(
                token=token,
                operator=operator,
                kind=kind,
                reason=reason,
                selection=selection,
                count=len(order_ids),
            )
            items = [BulkItem(bulk=bulk, order_id=order_id) for order_id in order_ids]
            BulkItem.objects.bulk_create(items, batch_size=1000)
            queue_bulk_actions()
            return bulk
    except IntegrityError:
        earlier = BulkAction.objects.filter(token=token).first()
        if earlier is None:
            raise
        if (earlier.kind, earlier.operator_id) != (kind, operator.pk):
            raise TokenReused from None
        return earlier


def stop(bulk_id: UUID, actor: str) -> bool:
    """Stop a bulk action after the current order. Returns False if it had ended or was stopped."""
    unfinished = BulkAction.objects.filter(pk=bulk_id, ended_at__isnull=True)
    return (
        unfinished.filter(stopped_at__isnull=True).update(stopped_at=Now(), stopped_by=actor) == 1
    )


def process_slice(seconds: float = SLICE_SECONDS) -> bool:
    """Process the bulk action that has waited longest. Returns True if any is unfinished.

    Concurrent calls lease different bulk actions. An item's action and outcome commit together.
    After a crash another worker continues when the lease has expired.
    """
    bulk = _lease_next()
    if bulk is None:
        return False
    until = time.monotonic() + seconds
    while _process_next(bulk):
        if time.monotonic() >= until:
            break
    _release(bulk)
    return BulkAction.objects.filter(ended_at__isnull=True).exists()


def counts(bulk: BulkAction) -> dict[str, int]:
    """Count the items of a bulk action by outcome."""
    rows = bulk.items.order_by().values_list("outcome").annotate(rows=Count("pk"))
    found = dict(rows)
    return {outcome.value: found.get(outcome.value, 0) for outcome in ItemOutcome}


@transaction.atomic
def _lease_next() -> BulkAction | None:
    free = Q(leased_until__isnull=True) | Q(leased_until__lte=Now())
    bulk = (
        BulkAction.objects.select_for_update(skip_locked=True)
        .filter(free, ended_at__isnull=True)
        .order_by(F("leased_until").asc(nulls_first=True), "pk")
        .first()
    )
    if bulk is not None:
        BulkAction.objects.filter(pk=bulk.pk).update(leased_until=Now() + LEASE)
    return bulk


def _release(bulk: BulkAction) -> None:
    """Give up the lease, and end the bulk action if it is finished or stopped."""
    own = BulkAction.objects.filter(pk=bulk.pk)
    own.update(leased_until=Now())
    waiting = bulk.items.filter(outcome=ItemOutcome.WAITING)
    if not waiting.exists():
        own.filter(ended_at__isnull=True).update(ended_at=Now())
    else:
        own.filter(stopped_at__isnull=False, ended_at__isnull=True).update(ended_at=Now())


def _process_next(bulk: BulkAction) -> bool:
    """Process one item in one transaction. Returns False when no item is left."""
    item = None
    try:
        with transaction.atomic():
            item = _claim(bulk)
            if item is None:
                return False
            row = execute(
                ActionRequest(
                    kind=ActionKind(bulk.kind),
                    order_id=item.order_id,
                    operator=User.objects.get(pk=bulk.operator_id),
                    reason=bulk.reason,
                    # The same token after a crash: one audit row for each order.
                    token=uuid5(bulk.pk, str(item.order_id)),
                )
            )
            BulkItem.objects.filter(pk=item.pk).update(outcome=row.outcome, message=row.message)
    except Exception as error:
        if item is None:
            raise
        log.exception("bulk.item_failed", extra={"order_id": str(item.order_id)})
        _count_failure(item, error)
    return True


def _claim(bulk: BulkAction) -> BulkItem | None:
    waiting = BulkItem.objects.select_for_update(skip_locked=True, of=("self",))
    return waiting.filter(
        bulk=bulk, bulk__stopped_at__isnull=True, outcome=ItemOutcome.WAITING
    ).order_by("pk").first()  # fmt: skip


def _count_failure(item: BulkItem, error: Exception) -> None:
    """Count an error. After MAX_FAILURES errors the item has failed."""
    own = BulkItem.objects.filter(pk=item.pk, outcome=ItemOutcome.WAITING)
    own.update(failures=F("failures") + 1)
    own.filter(failures__gte=MAX_FAILURES).update(
        outcome=ItemOutcome.FAILED,
        message=f"Nothing was changed: {type(error).__name__}, {MAX_FAILURES} times.",
    )
