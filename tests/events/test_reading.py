"""Events are read in order, and none is skipped because its transaction committed late."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event as Signal
from uuid import UUID, uuid4

import pytest
from django.db import transaction

from events.event_types import Event, Payload
from events.models import OutboxEvent
from events.relay.reading import SettledNumber, events_between
from events.services import record
from tests.support.threads import start_thread
from tests.support.waits import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


class Counted(Payload, name="test.counted", version=1):
    """One of several events."""

    text: str


def record_one(text: str, key: UUID | None = None) -> None:
    with transaction.atomic():
        record([Event(key or uuid4(), uuid4(), Counted(text=text))])


@contextmanager
def recorded_but_not_committed(text: str) -> Iterator[None]:
    """Record an event in another session, and commit it at the end of the block."""
    recorded, may_commit = Signal(), Signal()

    def work() -> None:
        with transaction.atomic():
            record([Event(uuid4(), uuid4(), Counted(text=text))])
            recorded.set()
            assert may_commit.wait(30)

    thread = start_thread(work)
    try:
        assert recorded.wait(30)
        yield
    finally:
        may_commit.set()
        thread.result(30)


def texts(events: list[OutboxEvent]) -> list[str]:
    return [event.payload["text"] for event in events]


class Reader:
    """Reads what is settled, as a relay does."""

    def __init__(self) -> None:
        self.settled = SettledNumber()
        self.number = self.settled.look()

    def look(self, limit: int = 100) -> list[str]:
        """Read what is settled now."""
        events = events_between(self.number, self.settled.look(), limit)
        if events:
            self.number = events[-1].number
        return texts(events)

    def read(self, limit: int = 100) -> list[str]:
        """Read once some events are settled: transactions of other tests hold them up, too."""
        found: list[str] = []

        def has_found() -> bool:
            found.extend(self.look(limit))
            return bool(found)

        wait_until(has_found, "a settled event")
        return found


def test_a_committed_event_is_read_at_the_next_look() -> None:
    reader = Reader()
    record_one("1")

    assert reader.read() == ["1"]
    assert reader.look() == []


def test_events_are_read_in_order_up_to_the_limit() -> None:
    reader = Reader()
    for text in "12345":
        record_one(text)

    newest = OutboxEvent.objects.latest("number").number
    wait_until(lambda: reader.settled.look() >= newest)
    assert reader.read(limit=2) == ["1", "2"]
    assert reader.read() == ["3", "4", "5"]


def test_an_event_that_is_committed_late_is_not_skipped() -> None:
    reader = Reader()
    with recorded_but_not_committed("late"):
        record_one("early")
        assert reader.look() == []
        # A reader without marks would take this one, and never see the other.
        assert texts(list(OutboxEvent.objects.order_by("number"))) == ["early"]

    newest = OutboxEvent.objects.latest("number").number
    wait_until(lambda: reader.settled.look() >= newest)
    assert reader.read() == ["late", "early"]


def test_events_before_the_late_one_do_not_wait_for_it() -> None:
    reader = Reader()
    record_one("before")
    before = OutboxEvent.objects.get().number
    wait_until(lambda: reader.settled.look() >= before)
    with recorded_but_not_committed("late"):
        record_one("after")
        assert reader.read() == ["before"]

    assert reader.read() == ["late", "after"]


def test_a_transaction_that_has_written_nothing_holds_nothing_up() -> None:
    reader = Reader()
    reading, may_end = Signal(), Signal()

    def read() -> None:
        with transaction.atomic():
            OutboxEvent.objects.count()
            reading.set()
            assert may_end.wait(30)

    thread = start_thread(read)
    assert reading.wait(30)
    record_one("1")

    assert reader.read() == ["1"]
    may_end.set()
    thread.result(30)


def test_an_event_that_is_rolled_back_holds_nothing_up() -> None:
    reader = Reader()
    with transaction.atomic():
        record([Event(uuid4(), uuid4(), Counted(text="no"))])
        transaction.set_rollback(True)
    record_one("yes")

    assert reader.read() == ["yes"]
