"""Events are recorded in the transaction of the change that they report."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.db import transaction

from events.event_types import Event, EventError, EventType
from events.models import OutboxEvent
from events.services import NotInTransaction, outbox, record

pytestmark = pytest.mark.django_db(transaction=True)

SHIPPED = EventType("parcel.shipped", 2, frozenset({"number"}))


def make_event() -> Event:
    return SHIPPED.of(uuid4(), uuid4(), {"number": "RR 123"})


def test_an_event_is_recorded_with_its_fields() -> None:
    event = make_event()

    with transaction.atomic():
        record([event])

    row = OutboxEvent.objects.get()
    assert (row.name, row.version, row.payload) == ("parcel.shipped", 2, {"number": "RR 123"})
    assert (row.key, row.correlation_id) == (event.key, event.correlation_id)
    assert row.relayed_at is None


def test_a_rollback_removes_the_event() -> None:
    with transaction.atomic():
        record([make_event()])
        transaction.set_rollback(True)

    assert not OutboxEvent.objects.exists()


@pytest.mark.parametrize("write", [record, outbox])
def test_recording_needs_a_transaction(
    write: Callable[[list[Event]], object],
) -> None:
    with pytest.raises(NotInTransaction):
        write([make_event()])

    assert not OutboxEvent.objects.exists()


@pytest.mark.parametrize("payload", [{}, {"number": "RR 123", "weight": 2}, {"weight": 2}])
def test_an_event_must_have_the_fields_of_its_type(payload: dict[str, object]) -> None:
    with pytest.raises(EventError, match=r"parcel\.shipped carries"):
        SHIPPED.of(uuid4(), uuid4(), payload)
