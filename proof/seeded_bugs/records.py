"""Bugs that commit apart what belongs together: orders and keys, changes and events."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from bulk_sql.statements import Insert, write
from events.event_types import Event
from events.services import outbox
from orders.api.http import idempotency
from orders.models import IdempotencyRecord
from proof.seeded_bugs.patching import replace_wherever_imported


def key_stored_after_order() -> None:
    """A client's idempotency key is stored only after its order has been committed."""

    def act_then_store(
        request: idempotency.IdempotentRequest,
        order_id: UUID,
        action: Callable[[], Any],
        response: idempotency.SavedResponse | None = None,
    ) -> Any:
        same_key = IdempotencyRecord.objects.filter(customer=request.caller_id, key=request.key)
        earlier = same_key.first()
        if earlier is not None:
            return idempotency.Replayed(earlier.order_id, response)
        result = action()
        with transaction.atomic():
            idempotency._store_key(request, order_id, response)
        return idempotency.Executed(result, response)

    replace_wherever_imported(idempotency.run_idempotent, act_then_store)


def events_recorded_after_commit() -> None:
    """Events are written only after the change that they report has been committed."""

    def write_after_commit(events: Iterable[Event]) -> Insert:
        rows = outbox(events)
        transaction.on_commit(partial(_write_apart, rows))
        return Insert([])

    replace_wherever_imported(outbox, write_after_commit)


def _write_apart(rows: Insert) -> None:
    with transaction.atomic():
        write(rows)
