"""Bugs in what has to be written down together: requests with their keys, changes with their facts."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from rest_framework.request import Request

from events.facts import Fact
from events.services import outbox
from orders.api import idempotency
from orders.models import IdempotencyRecord
from proof.seeded_bugs.patching import replace_wherever_imported
from sagas.row_sets import Insert, write


def idempotency_key_stored_after_the_order() -> None:
    """A client's key is stored once its order has been committed."""

    def act_then_store(
        request: Request, customer: User, body: Any, order_id: UUID, act: Callable[[], Any]
    ) -> Any:
        key, fingerprint = idempotency.key_of(request), idempotency.fingerprint_of(request, body)
        earlier = IdempotencyRecord.objects.filter(customer=customer, key=key).first()
        if earlier is not None:
            return idempotency.Replayed(earlier.order_id)
        result = act()
        with transaction.atomic():
            idempotency._take(customer.pk, key, fingerprint, order_id)
        return idempotency.Acted(result)

    replace_wherever_imported(idempotency.once, act_then_store)


def facts_recorded_after_commit() -> None:
    """Facts are written once the change that they tell of has been committed."""

    def note_later(facts: Iterable[Fact]) -> Insert:
        now = outbox(facts)
        transaction.on_commit(partial(_write_apart, now))
        return Insert([])

    replace_wherever_imported(outbox, note_later)


def _write_apart(rows: Insert) -> None:
    with transaction.atomic():
        write(rows)
