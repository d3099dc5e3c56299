"""One act on many orders: written down as rows, carried out an order at a time, resumed anywhere."""

import logging
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid5

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Count, F, Q
from django.db.models.functions import Now

from desk.actions import Asked, TokenTaken, carry_out
from desk.bulk_queue import ask_for_carrying
from desk.models import ActionKind, BulkAction, BulkItem, ItemOutcome

log = logging.getLogger(__name__)

MOST_ORDERS: Final = 10_000
"""In one bulk action; whoever means more narrows the list, and begins another."""

SLICE_SECONDS: Final = 2.0
"""How long one task carries: the queue is the sweeps', which wait for nobody longer."""

LEASE: Final = timedelta(seconds=30)
"""More than a slice and its last order can take; after a crash the next worker begins then."""

MOST_FAILURES: Final = 3


def begin(
    kind: ActionKind,
    operator: User,
    order_ids: Sequence[UUID],
    *,
    reason: str,
    chosen_by: str,
    token: UUID,
) -> BulkAction:
    """Write down what is to be done, and ask for it to be carried out.

    Asked again under the same token it returns what it made the first time. Raises TokenTaken where
    that was somebody else's or something else.
    """
    try:
        with transaction.atomic():
            bulk = BulkAction.objects.create(
                token=token,
                operator=operator,
                kind=kind,
                reason=reason,
                chosen_by=chosen_by,
                count=len(order_ids),
            )
            items = [BulkItem(bulk=bulk, order_id=each) for each in order_ids]
            BulkItem.objects.bulk_create(items, batch_size=1000)
            ask_for_carrying()
            return bulk
    except IntegrityError:
        earlier = BulkAction.objects.filter(token=token).first()
        if earlier is None:
            raise
        if (earlier.kind, earlier.operator_id) != (kind, operator.pk):
            raise TokenTaken from None
        return earlier


def stop(bulk_id: UUID, actor: str) -> bool:
    """Have nothing further done; True if it had not ended. An order in hand is finished."""
    under_way = BulkAction.objects.filter(pk=bulk_id, ended_at__isnull=True)
    return under_way.filter(stopped_at__isnull=True).update(stopped_at=Now(), stopped_by=actor) == 1


def carry_for_a_while(seconds: float = SLICE_SECONDS) -> bool:
    """Carry the bulk action that has waited longest for a while; True if there is more to do.

    Safe at any time, from any number of workers: each takes another one, and an order that is done
    is done in the commit that says so. A crash leaves the rest for whoever comes after the lease.
    """
    bulk = _take_up()
    if bulk is None:
        return False
    until = time.monotonic() + seconds
    while _carry_next(bulk):
        if time.monotonic() >= until:
            break
    _put_down(bulk)
    return BulkAction.objects.filter(ended_at__isnull=True).exists()


def counts(bulk: BulkAction) -> dict[str, int]:
    """How many of its orders are done, refused, failed, and wait."""
    rows = bulk.items.order_by().values_list("outcome").annotate(rows=Count("pk"))
    found = dict(rows)
    return {each.value: found.get(each.value, 0) for each in ItemOutcome}


@transaction.atomic
def _take_up() -> BulkAction | None:
    free = Q(carried_until__isnull=True) | Q(carried_until__lte=Now())
    bulk = (
        BulkAction.objects.select_for_update(skip_locked=True)
        .filter(free, ended_at__isnull=True)
        .order_by(F("carried_until").asc(nulls_first=True), "pk")
        .first()
    )
    if bulk is not None:
        BulkAction.objects.filter(pk=bulk.pk).update(carried_until=Now() + LEASE)
    return bulk


def _put_down(bulk: BulkAction) -> None:
    """Let the next worker take it up, or end it where nothing of it waits or somebody stopped it."""
    own = BulkAction.objects.filter(pk=bulk.pk)
    own.update(carried_until=Now())
    waits = bulk.items.filter(outcome=ItemOutcome.WAITING)
    if not waits.exists():
        own.filter(ended_at__isnull=True).update(ended_at=Now())
    else:
        own.filter(stopped_at__isnull=False, ended_at__isnull=True).update(ended_at=Now())


def _carry_next(bulk: BulkAction) -> bool:
    """Act on one more order, in one transaction with its rows; False when none is left to take."""
    item = None
    try:
        with transaction.atomic():
            item = _claim(bulk)
            if item is None:
                return False
            done = carry_out(
                Asked(
                    kind=ActionKind(bulk.kind),
                    order_id=item.order_id,
                    operator=User.objects.get(pk=bulk.operator_id),
                    reason=bulk.reason,
                    # The audit row of this order in this bulk action: there can be one only.
                    token=uuid5(bulk.pk, str(item.order_id)),
                )
            )
            BulkItem.objects.filter(pk=item.pk).update(outcome=done.outcome, told=done.told)
    except Exception as error:
        if item is None:
            raise
        log.exception("bulk.item_failed", extra={"order_id": str(item.order_id)})
        _note_failure(item, error)
    return True


def _claim(bulk: BulkAction) -> BulkItem | None:
    waiting = BulkItem.objects.select_for_update(skip_locked=True, of=("self",))
    return waiting.filter(
        bulk=bulk, bulk__stopped_at__isnull=True, outcome=ItemOutcome.WAITING
    ).order_by("pk").first()  # fmt: skip


def _note_failure(item: BulkItem, error: Exception) -> None:
    """Count what went wrong; after some times the order is left as it is."""
    own = BulkItem.objects.filter(pk=item.pk, outcome=ItemOutcome.WAITING)
    own.update(failures=F("failures") + 1)
    own.filter(failures__gte=MOST_FAILURES).update(
        outcome=ItemOutcome.FAILED,
        told=f"Nothing was changed: {type(error).__name__}, {MOST_FAILURES} times.",
    )
