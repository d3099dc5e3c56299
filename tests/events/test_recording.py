"""Events are recorded in the transaction of the change that they report."""

from collections.abc import Callable, Sequence
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from pydantic import ValidationError

from bulk_sql.statements import Insert
from events.event_types import Event, Payload
from events.models import OutboxEvent
from events.services import NotInTransaction, outbox, record

pytestmark = pytest.mark.django_db(transaction=True)


class ParcelSent(Payload, name="parcel.sent", version=2):
    """A parcel has left."""

    number: str
    parcel_id: UUID


def make_event(number: str = "RR 123") -> Event:
    return Event(uuid4(), uuid4(), ParcelSent(number=number, parcel_id=UUID(int=7)))


def test_an_event_is_recorded_with_its_fields() -> None:
    event = make_event()

    with transaction.atomic():
        record([event])

    row = OutboxEvent.objects.get()
    assert (row.name, row.version) == ("parcel.sent", 2)
    assert row.payload == {"number": "RR 123", "parcel_id": str(UUID(int=7))}
    assert (row.key, row.correlation_id) == (event.key, event.correlation_id)


def test_events_are_numbered_in_the_order_in_which_they_are_recorded() -> None:
    with transaction.atomic():
        record([make_event("1"), make_event("2")])
        record([make_event("3")])

    rows = OutboxEvent.objects.order_by("number")
    assert [row.payload["number"] for row in rows] == ["1", "2", "3"]


def test_a_rollback_removes_the_event() -> None:
    with transaction.atomic():
        record([make_event()])
        transaction.set_rollback(True)

    assert not OutboxEvent.objects.exists()


@pytest.mark.parametrize("write", [record, outbox])
def test_recording_needs_a_transaction(
    write: Callable[[Sequence[Event]], Insert | None],
) -> None:
    with pytest.raises(NotInTransaction):
        write([make_event()])

    assert not OutboxEvent.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"number": "RR 123"},
        {"number": "RR 123", "parcel_id": UUID(int=7), "weight": 2},
        {"number": 123, "parcel_id": UUID(int=7)},
        {},
    ],
)
def test_an_event_must_have_the_fields_of_its_type(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ParcelSent.model_validate(fields)
