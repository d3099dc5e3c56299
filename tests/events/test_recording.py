"""Facts are recorded with what makes them true, or not at all."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.db import transaction

from events.event_types import Event, EventError, EventType
from events.models import OutboxEvent
from events.services import NotInTransaction, outbox, record

pytestmark = pytest.mark.django_db(transaction=True)

SHIPPED = EventType("parcel.shipped", 2, frozenset({"number"}))


def a_fact() -> Event:
    return SHIPPED.of(uuid4(), uuid4(), {"number": "RR 123"})


def test_a_fact_is_recorded_as_it_is() -> None:
    event = a_fact()

    with transaction.atomic():
        record([event])

    row = OutboxEvent.objects.get()
    assert (row.name, row.version, row.payload) == ("parcel.shipped", 2, {"number": "RR 123"})
    assert (row.key, row.correlation_id) == (event.key, event.correlation_id)
    assert row.relayed_at is None


def test_a_fact_goes_with_the_transaction_that_did_not_make_it_true() -> None:
    with transaction.atomic():
        record([a_fact()])
        transaction.set_rollback(True)

    assert not OutboxEvent.objects.exists()


@pytest.mark.parametrize("write", [record, outbox])
def test_outside_a_transaction_nothing_can_be_recorded(
    write: Callable[[list[Event]], object],
) -> None:
    with pytest.raises(NotInTransaction):
        write([a_fact()])

    assert not OutboxEvent.objects.exists()


@pytest.mark.parametrize("payload", [{}, {"number": "RR 123", "weight": 2}, {"weight": 2}])
def test_a_fact_carries_what_its_type_declares_and_nothing_else(payload: dict[str, object]) -> None:
    with pytest.raises(EventError, match=r"parcel\.shipped carries"):
        SHIPPED.of(uuid4(), uuid4(), payload)
