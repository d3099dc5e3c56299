"""The relay publishes every committed event at least once, and events of one key in order."""

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import InterfaceError, OperationalError, transaction
from django.db.models.functions import Now
from pytest_django import Settings

from events.event_types import Event, Payload
from events.models import OutboxEvent, TransportPosition
from events.relay import relay as relay_module
from events.relay.positions import LEASE, Lease, LeaseLost, acquire, advance, release
from events.relay.relay import Relay
from events.relay.running import relay_until_stopped
from events.relay.transport import ServerRestarted, TransportUnavailable
from events.services import record
from tests.support.threads import start_thread
from tests.support.waits import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

KEY = UUID(int=5)


class Counted(Payload, name="test.counted", version=1):
    """One of several events."""

    number: int


def record_events(*numbers: int) -> None:
    with transaction.atomic():
        record([Event(KEY, uuid4(), Counted(number=number)) for number in numbers])


class Shelf:
    """A transport that keeps what it gets, until it is to fail."""

    name = "shelf"

    def __init__(self) -> None:
        self.received: list[int] = []
        self.stored_before_failing: int | None = None
        self.server = "1"

    def publish(self, events: Sequence[OutboxEvent], server: str) -> str:
        numbers = [event.payload["number"] for event in events]
        if server and server != self.server:
            raise ServerRestarted(self.server)
        if self.stored_before_failing is not None:
            self.received += numbers[: self.stored_before_failing]
            raise TransportUnavailable("the shelf is full")
        self.received += numbers
        return self.server

    def close(self) -> None:
        pass


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the relay would have waited, in seconds."""
    seconds: list[float] = []
    monkeypatch.setattr(Relay, "_wait", lambda _, wait: seconds.append(wait))
    return seconds


def make_relay(shelf: Shelf, *, events_per_second: int = 0, name: str = "relay") -> Relay:
    return Relay(
        shelf,
        name,
        from_first=False,
        events_per_second=events_per_second,
        stop=threading.Event(),
    )


def step(relay: Relay, lease: Lease) -> Lease:
    """Publish one batch, once all events are settled: transactions of other tests hold them up."""
    newest = max([0, *OutboxEvent.objects.values_list("number", flat=True)])
    wait_until(lambda: relay._settled.look() >= newest)
    return Relay.step(relay, lease)


def take(name: str = "relay") -> Lease:
    lease = acquire("shelf", name, begin_after=0)
    assert lease is not None
    return lease


def expire_lease() -> None:
    TransportPosition.objects.update(leased_until=Now() - timedelta(seconds=1))


def position() -> TransportPosition:
    return TransportPosition.objects.get()


def test_it_publishes_in_order_and_records_how_far(shelf: Shelf, waited: list[float]) -> None:
    record_events(1, 2)
    record_events(3)
    newest = OutboxEvent.objects.get(payload__number=3).number

    lease = step(make_relay(shelf), take())

    assert shelf.received == [1, 2, 3]
    assert (lease.number, position().number) == (newest, newest)
    assert position().published_at is not None
    assert waited == []


def test_with_nothing_to_publish_it_waits_a_moment(shelf: Shelf, waited: list[float]) -> None:
    lease = take()

    assert step(make_relay(shelf), lease) is lease
    assert (shelf.received, waited) == ([], [relay_module.POLL_SECONDS])


def test_a_transport_that_fails_gets_the_same_events_again(
    shelf: Shelf, waited: list[float]
) -> None:
    record_events(1, 2, 3)
    shelf.stored_before_failing = 1
    relay, lease = make_relay(shelf), take()

    assert step(relay, lease) is lease
    assert (position().problem, position().number) == ("the shelf is full", 0)
    since = position().failing_since
    assert since is not None
    step(relay, lease)
    assert position().failing_since == since
    assert 0 < waited[0] <= 0.5
    assert waited[0] < waited[1] + 0.5

    shelf.stored_before_failing = None
    step(relay, lease)
    assert shelf.received == [1, 1, 1, 2, 3]
    assert (position().problem, position().failing_since) == ("", None)


def test_one_relay_at_a_time_has_the_lease(shelf: Shelf) -> None:
    first = take("first")

    assert acquire("shelf", "second", begin_after=0) is None
    release(first)
    second = acquire("shelf", "second", begin_after=0)
    assert second is not None
    assert position().relay == "second"


def test_a_dead_relays_events_are_published_again_by_the_next(shelf: Shelf) -> None:
    record_events(1, 2)
    first = take("first")
    shelf.publish(list(OutboxEvent.objects.order_by("number")), "")  # and dies before it records
    expire_lease()
    record_events(3)

    step(make_relay(shelf, name="second"), take("second"))

    assert shelf.received == [1, 2, 1, 2, 3]
    with pytest.raises(LeaseLost):
        advance(first, 1, 1, "")


def test_a_relay_that_comes_back_after_its_lease_moves_nothing(
    shelf: Shelf, waited: list[float]
) -> None:
    record_events(1)
    late = take("late")
    expire_lease()
    step(make_relay(shelf, name="second"), take("second"))
    before = position()

    with pytest.raises(LeaseLost):
        step(make_relay(shelf, name="late"), late)

    after = position()
    assert (after.number, after.fence, after.relay) == (before.number, before.fence, "second")
    assert shelf.received == [1, 1]
    assert waited == []


def test_after_a_restart_of_the_server_it_goes_back_to_what_is_safe(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = 0.0
    monkeypatch.setattr("events.relay.relay.time.monotonic", lambda: seconds)
    relay, lease = make_relay(shelf), take()
    record_events(1)
    lease = step(relay, lease)
    seconds += relay_module.SAFE_AFTER_SECONDS
    for number in (2, 3):
        record_events(number)
        lease = step(relay, lease)
    assert shelf.received == [1, 2, 3]

    shelf.server = "2"
    record_events(4)
    lease = step(relay, lease)
    assert shelf.received == [1, 2, 3]
    step(relay, lease)

    assert shelf.received == [1, 2, 3, 2, 3, 4]
    assert position().server == "2"


def test_a_rate_limits_the_batch_and_the_pace(shelf: Shelf, waited: list[float]) -> None:
    record_events(*range(10))
    relay, lease = make_relay(shelf, events_per_second=4), take()

    for _ in range(3):
        lease = step(relay, lease)

    assert shelf.received == list(range(10))
    assert [round(seconds) for seconds in waited] == [1, 1, 0]


@pytest.mark.parametrize(("from_first", "received"), [(True, [1, 2]), (False, [2])])
def test_a_new_transport_begins_where_the_setting_says(
    shelf: Shelf,
    monkeypatch: pytest.MonkeyPatch,
    from_first: bool,  # noqa: FBT001
    received: list[int],
) -> None:
    record_events(1)
    stop = threading.Event()
    relay = Relay(shelf, "relay", from_first=from_first, stop=stop)
    newest = OutboxEvent.objects.latest("number").number
    wait_until(lambda: relay._settled.look() >= newest)
    steps: list[Callable[[], None]] = [lambda: record_events(2), lambda: None, stop.set]

    def step_of(lease: Lease) -> Lease:
        steps.pop(0)()
        return step(relay, lease)

    monkeypatch.setattr(relay, "step", step_of)
    relay.run()

    assert shelf.received == received
    assert position().leased_until is None


@pytest.mark.parametrize("error", [OperationalError("gone"), InterfaceError("closed")])
def test_a_database_that_is_away_costs_time_only(
    shelf: Shelf, waited: list[float], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    stop = threading.Event()
    relay = Relay(shelf, "relay", from_first=True, stop=stop)
    record_events(1)
    looks: list[Exception | None] = [error, None]

    def step_of(lease: Lease) -> Lease:
        if failure := looks.pop(0):
            raise failure
        stop.set()
        return step(relay, lease)

    monkeypatch.setattr(relay, "step", step_of)
    relay.run()

    assert shelf.received == [1]
    assert waited == [1.0]


def test_the_lease_is_longer_than_all_that_a_relay_does_between_two_renewals() -> None:
    assert LEASE.total_seconds() > relay_module.LONGEST_BACK_OFF_SECONDS
    assert LEASE.total_seconds() > relay_module.RENEW_SECONDS + 5


def test_without_a_transport_the_process_stays_until_it_is_stopped(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EVENT_TRANSPORTS = []
    stops: list[Callable[..., None]] = []
    monkeypatch.setattr("signal.signal", lambda _, stop: stops.append(stop))

    process = start_thread(relay_until_stopped)
    wait_until(lambda: len(stops) == 2)
    with pytest.raises(TimeoutError):
        process.result(0.2)
    stops[0]()

    process.result(30)
