"""Bugs in what has to be written down together: requests with their keys, changes with their events."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from events.event_types import Event
from events.services import outbox
from orders.api.http import idempotency
from orders.models import IdempotencyRecord
from proof.seeded_bugs.patching import replace_wherever_imported
from sagas.bulk_sql import Insert, write


def idempotency_key_stored_after_the_order() -> None:
    """A client's key is stored once its order has been committed."""

    def act_then_store(
        purpose: idempotency.IdempotentRequest,
        order_id: UUID,
        act: Callable[[], Any],
        answer: idempotency.Answer | None = None,
    ) -> Any:
        same_key = IdempotencyRecord.objects.filter(customer=purpose.caller_id, key=purpose.key)
        earlier = same_key.first()
        if earlier is not None:
            return idempotency.Replayed(earlier.order_id, answer)
        result = act()
        with transaction.atomic():
            idempotency._take(purpose, order_id, answer)
        return idempotency.Executed(result, answer)

    replace_wherever_imported(idempotency.run_idempotent, act_then_store)


def facts_recorded_after_commit() -> None:
    """Facts are written once the change that they tell of has been committed."""

    def note_later(events: Iterable[Event]) -> Insert:
        now = outbox(events)
        transaction.on_commit(partial(_write_apart, now))
        return Insert([])

    replace_wherever_imported(outbox, note_later)


def _write_apart(rows: Insert) -> None:
    with transaction.atomic():
        write(rows)
