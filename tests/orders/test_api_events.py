"""The server-sent events of one order."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from itertools import count, islice
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.http import StreamingHttpResponse
from pytest_django import Settings

from access.credentials import Scope
from access.links import new_link
from orders.api.orders.documentation import EVENT_STREAM_SCHEMA
from orders.api.orders.event_stream import MAX_STREAM_SECONDS, streams
from orders.models import Cause, Order
from orders.states import OrderStatus
from sandbox.stripe_process import SandboxServer
from tests.support.in_memory_broker import MessageQueue, delivering_in_background
from tests.support.storefront_client import ORDERS, ApiResponse, Storefront, cart

MUG = cart(("MUG", 1))

pytestmark = pytest.mark.usefixtures("disconnected_threads")


@pytest.fixture
def path(storefront: Storefront) -> str:
    """The path of a new order's events."""
    return f"{ORDERS}/{storefront.order(MUG).order_id}/events"


@pytest.fixture
def fast_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream whose clock advances by one second per reading."""
    clock = SimpleNamespace(monotonic=partial(next, count()))
    monkeypatch.setattr("orders.api.orders.event_stream.time", clock)
    monkeypatch.setattr("orders.api.orders.event_stream.HEARTBEAT_SECONDS", 0.01)


@pytest.mark.usefixtures("long_waits")
def test_a_stream_follows_an_order_from_placed_to_confirmed(
    storefront: Storefront, path: str, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    stream = storefront.open_stream(path)
    with delivering_in_background(messages):
        blocks = list(read(stream))

    order = Order.objects.get()
    assert stream.headers["Content-Type"] == "text/event-stream"
    assert stream.headers["Cache-Control"] == "no-store"
    assert blocks[0] == {"retry": "1000"}
    assert events_of(blocks) == [("0", "placed"), ("1", "confirmed"), (None, "end")]
    assert json.loads(blocks[1]["data"]) == {
        "order_id": str(order.pk),
        "status": "placed",
        "version": 0,
        "at": in_json(order.created_at),
        "cancel_requested_at": None,
        "reason": "",
        "reason_code": "",
        "waiting_for": None,
    }


@pytest.mark.usefixtures("long_waits")
def test_a_stream_sends_every_transition_even_if_they_are_fast(
    storefront: Storefront, path: str, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    Order.objects.update(payment_method="pm_card_chargeDeclinedInsufficientFunds")
    stream = storefront.open_stream(path)
    with delivering_in_background(messages):
        blocks = list(read(stream))

    *_, cancelled, _end = blocks
    assert events_of(blocks) == [
        ("0", "placed"),
        ("1", "cancelling"),
        ("2", "cancelled"),
        (None, "end"),
    ]
    data = json.loads(cancelled["data"])
    assert data["reason"] == "Your card has insufficient funds."
    assert data["at"] == in_json(Order.objects.get().transitions.get(target="cancelled").at)
    assert data["cancel_requested_at"] is None


def test_a_stream_sends_a_cancellation_request_as_soon_as_it_is_accepted(
    storefront: Storefront, path: str, messages: MessageQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orders.api.orders.event_stream.MAX_STREAM_SECONDS", 60)
    stream = storefront.open_stream(path)
    _retry, placed = next_blocks(stream, 2)

    accepted = storefront.cancel(Order.objects.get().pk)
    [requested] = next_blocks(stream, 1)  # before its run compensates
    messages.deliver_all()
    blocks = [placed, requested, *read(stream)]

    assert events_of(blocks) == [
        ("0", "placed"),
        ("0c", "cancel_requested"),
        ("1c", "cancelling"),
        ("2c", "cancelled"),
        (None, "end"),
    ]
    assert {block["event"] for block in blocks} <= documented_events()
    data = [json.loads(block["data"]) for block in blocks if "id" in block]
    requested_at = accepted.body["cancel_requested_at"]
    assert [entry["cancel_requested_at"] for entry in data] == [
        None,
        requested_at,
        requested_at,
        requested_at,
    ]
    assert [entry["status"] for entry in data] == ["placed", "placed", "cancelling", "cancelled"]
    assert [entry["version"] for entry in data] == [0, 0, 1, 2]
    assert data[1]["at"] == requested_at


@pytest.mark.parametrize(
    ("seen", "missed"),
    [
        ("0", ["0c", "1c", "2c"]),
        ("0c", ["1c", "2c"]),
        ("1c", ["2c"]),
        ("2", ["2c"]),
        ("3c", ["2c"]),
    ],
)
def test_a_reconnecting_client_gets_missed_events_of_a_cancellation(
    storefront: Storefront, path: str, messages: MessageQueue, seen: str, missed: list[str]
) -> None:
    storefront.cancel(Order.objects.get().pk)
    messages.deliver_all()

    blocks = list(read(storefront.open_stream(path, **{"Last-Event-ID": seen})))
    after = storefront.send("GET", path, headers={**STREAM, "Last-Event-ID": "2c"})

    assert [block["id"] for block in blocks if "id" in block] == missed
    assert blocks[-1]["event"] == "end"
    assert after.status == 204


@pytest.mark.usefixtures("fast_clock")
def test_a_confirmed_order_with_a_cancellation_request_has_not_ended(
    storefront: Storefront, path: str, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    messages.deliver(messages.take())  # its capture waits
    storefront.cancel(Order.objects.get().pk)

    meanwhile = list(read(storefront.open_stream(path, **{"Last-Event-ID": "1"})))
    messages.deliver_all()
    afterwards = list(read(storefront.open_stream(path, **{"Last-Event-ID": "1c"})))

    assert events_of(meanwhile) == [("1c", "cancel_requested")]
    assert events_of(afterwards) == [("2c", "cancelling"), ("3c", "cancelled"), (None, "end")]


def test_a_settled_order_is_sent_at_once(storefront: Storefront, path: str) -> None:
    confirm()

    blocks = list(read(storefront.open_stream(path)))

    assert events_of(blocks) == [("1", "confirmed"), (None, "end")]


def test_a_reconnecting_client_gets_missed_events(storefront: Storefront, path: str) -> None:
    with transaction.atomic():
        move(OrderStatus.CANCELLING)
        move(OrderStatus.CANCELLED)

    blocks = list(read(storefront.open_stream(path, **{"Last-Event-ID": "0"})))

    assert events_of(blocks) == [("1", "cancelling"), ("2", "cancelled"), (None, "end")]


def test_a_client_that_has_seen_the_end_gets_204(storefront: Storefront, path: str) -> None:
    confirm()

    response = storefront.send("GET", path, headers={**STREAM, "Last-Event-ID": "1"})

    assert (response.status, response.body) == (204, None)


@pytest.mark.parametrize(
    "given", ["2", "1c", "c", "1d", "-1", "1.0", "one", "\u0661", "9" * 400, " ", "0; DROP"]
)
def test_an_unknown_last_event_id_is_ignored(storefront: Storefront, path: str, given: str) -> None:
    confirm()

    blocks = list(read(storefront.open_stream(path, **{"Last-Event-ID": given})))

    assert events_of(blocks) == [("1", "confirmed"), (None, "end")]


@pytest.mark.usefixtures("fast_clock")
def test_an_idle_stream_sends_comments_and_then_ends(storefront: Storefront, path: str) -> None:
    blocks = list(read(storefront.open_stream(path)))

    assert events_of(blocks) == [("0", "placed")]
    assert blocks.count({"": "nothing new"}) == MAX_STREAM_SECONDS - 1


@pytest.mark.usefixtures("fast_clock")
def test_a_reconnecting_client_that_missed_nothing_gets_no_event(
    storefront: Storefront, path: str
) -> None:
    blocks = list(read(storefront.open_stream(path, **{"Last-Event-ID": "0"})))

    assert events_of(blocks) == []


@pytest.fixture
def waiting(
    storefront: Storefront,
    sandbox_stripe: SandboxServer,
    messages: MessageQueue,
    settings: Settings,
) -> str:
    """The path of the events of an order that waits for another payment."""
    settings.PAYMENT_GRACE = timedelta(minutes=15)
    placed = storefront.order(cart(("MUG", 1), payment_method=DECLINED))
    messages.deliver_all()
    return f"{ORDERS}/{placed.order_id}/events"


DECLINED = "pm_card_chargeDeclinedInsufficientFunds"


@pytest.mark.usefixtures("fast_clock")
def test_a_wait_has_an_id_of_its_own_and_is_sent_once(storefront: Storefront, waiting: str) -> None:
    blocks = list(read(storefront.open_stream(waiting)))
    (_, placed), (wait_id, event) = events_of(blocks)

    reconnected = list(read(storefront.open_stream(waiting, **{"Last-Event-ID": str(wait_id)})))
    after_status = list(read(storefront.open_stream(waiting, **{"Last-Event-ID": "0"})))

    assert (placed, event) == ("placed", "waiting")
    assert re.fullmatch("0w[0-9a-f]{8}", str(wait_id))
    data = next(json.loads(block["data"]) for block in blocks if block.get("event") == "waiting")
    assert data["waiting_for"]["code"] == "another_payment_needed"
    assert events_of(reconnected) == []
    assert events_of(after_status) == [(wait_id, "waiting")]
    assert {"waiting", "placed"} <= documented_events()


@pytest.mark.usefixtures("long_waits")
def test_a_stream_says_when_an_order_no_longer_waits_and_waits_again(
    storefront: Storefront, waiting: str, messages: MessageQueue
) -> None:
    stream = storefront.open_stream(waiting)
    _retry, _placed, first = next_blocks(stream, 3)
    path = waiting.removesuffix("/events")

    body = {"payment_method": DECLINED}
    storefront.send("POST", f"{path}/payments", body, {"Idempotency-Key": "1"})
    [being_paid] = next_blocks(stream, 1)
    messages.deliver_all()
    [second] = next_blocks(stream, 1)
    stream.close()

    assert [block["event"] for block in (first, being_paid, second)] == ["waiting"] * 3
    waits = [json.loads(block["data"])["waiting_for"] for block in (first, being_paid, second)]
    assert waits == [waits[0], None, waits[0]]
    assert being_paid["id"] == "0w00000000"
    assert len({block["id"] for block in (first, being_paid, second)}) == 3


def test_a_guest_link_opens_a_stream_without_headers(
    storefront: Storefront, stranger: Storefront, path: str
) -> None:
    confirm()
    link = new_link(Order.objects.get().pk, storefront.customer, days=1, may_cancel=False)
    address = f"/api/v1/guest/orders/{link.token()}/events"

    blocks = list(read(stranger.open_stream(address, Authorization="")))

    assert events_of(blocks) == [("1", "confirmed"), (None, "end")]


def test_the_limit_per_process_applies_to_streams_only(
    storefront: Storefront, path: str, settings: Settings
) -> None:
    settings.STREAMS_PER_PROCESS = 2
    read_from, never_read = (storefront.open_stream(path) for _ in range(2))
    next(iter(read_from))
    refused = storefront.send("GET", path, headers=STREAM)
    others = [storefront.order(MUG).status, storefront.get(ORDERS).status]
    read_from.close()
    never_read.close()
    never_read.close()
    again = [storefront.open_stream(path) for _ in range(2)]
    refused_again = storefront.send("GET", path, headers=STREAM)
    for stream in again:
        stream.close()

    for refusal in (refused, refused_again):
        assert refusal.is_problem(503, "too-many-streams")
        assert int(refusal.headers["Retry-After"]) == 10
    assert others == [202, 200]


def test_each_customer_has_a_limit_of_streams(
    storefront: Storefront, stranger: Storefront, path: str, settings: Settings
) -> None:
    settings.STREAMS_PER_CUSTOMER = 2
    theirs = f"{ORDERS}/{stranger.order(MUG).order_id}/events"
    link = new_link(
        Order.objects.get(customer=storefront.customer).pk,
        storefront.customer,
        days=1,
        may_cancel=False,
    )
    by_link = f"/api/v1/guest/orders/{link.token()}/events"

    mine = [storefront.open_stream(path), storefront.open_stream(by_link)]
    refused = [storefront.send("GET", address, headers=STREAM) for address in (path, by_link)]
    others = stranger.open_stream(theirs)
    mine.pop().close()
    again = storefront.open_stream(path)
    for stream in (*mine, others, again):
        stream.close()

    for refusal in refused:
        assert refusal.is_problem(429, "too-many-customer-streams")
        assert int(refusal.headers["Retry-After"]) == 10
    assert streams._running == {}


def test_the_limit_counts_for_the_customer_of_the_order(
    storefront: Storefront, stranger: Storefront, customer: User, settings: Settings
) -> None:
    settings.STREAMS_PER_CUSTOMER = 1
    shop = Storefront(customer, scopes=[*Scope])
    guests = [shop.order(MUG).order_id for _ in range(2)]
    theirs = [customer.order(MUG).order_id for customer in (stranger, stranger)]
    link = new_link(guests[0], shop.customer, days=1, may_cancel=False).token()

    open_ones = [
        shop.open_stream(f"{ORDERS}/{order_id}/events") for order_id in (*guests, theirs[0])
    ]
    refused = [
        shop.send("GET", f"{ORDERS}/{theirs[1]}/events", headers=STREAM),
        stranger.send("GET", f"{ORDERS}/{theirs[0]}/events", headers=STREAM),
        shop.send("GET", f"/api/v1/guest/orders/{link}/events", headers=STREAM),
    ]
    for stream in open_ones:
        stream.close()

    assert [refusal.is_problem(429, "too-many-customer-streams") for refusal in refused] == [
        True
    ] * 3


def test_a_head_request_opens_no_stream(
    storefront: Storefront, path: str, settings: Settings
) -> None:
    settings.STREAMS_PER_PROCESS = 1

    heads = [storefront.send("HEAD", path, headers=STREAM) for _ in range(3)]

    assert [(head.status, head.headers["Content-Type"]) for head in heads] == [
        (200, "text/event-stream")
    ] * 3


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("text/event-stream", 200),
        ("*/*", 200),
        ("text/*;q=0.5", 200),
        ("application/json", 406),
        ("text/html", 406),
    ],
)
def test_a_stream_needs_an_accepted_media_type(
    storefront: Storefront, path: str, accept: str, status: int
) -> None:
    response = storefront.send("HEAD", path, headers={"Accept": accept})

    assert response.status == status


def test_errors_of_streams_are_problems(
    storefront: Storefront, stranger: Storefront, path: str
) -> None:
    refused: dict[str, ApiResponse] = {
        "not-acceptable": storefront.send("GET", path, headers={"Accept": "application/json"}),
        "not-found": stranger.send("GET", path, headers=STREAM),
        "invalid-query": storefront.send("GET", f"{path}?since=0", headers=STREAM),
        "not-authenticated": storefront.send("GET", path, headers={"Authorization": ""}),
        "method-not-allowed": storefront.send("POST", path, headers=STREAM),
    }

    statuses = {"not-acceptable": 406, "not-found": 404, "invalid-query": 400}
    statuses |= {"not-authenticated": 401, "method-not-allowed": 405}
    assert [s for s, response in refused.items() if not response.is_problem(statuses[s], s)] == []


STREAM = {"Accept": "text/event-stream"}


def confirm() -> None:
    move(OrderStatus.CONFIRMED)


def move(target: OrderStatus) -> None:
    with transaction.atomic():
        Order.objects.transition({Order.objects.get().pk: Cause("for a test")}, target)


def read(stream: StreamingHttpResponse) -> Iterator[dict[str, str]]:
    """Return a stream's blocks as dictionaries of fields; a comment has the field ""."""
    text = b"".join(stream).decode()
    stream.close()
    for block in text.removesuffix("\n\n").split("\n\n"):
        yield fields_of(block)


def next_blocks(stream: StreamingHttpResponse, count: int) -> list[dict[str, str]]:
    """Return the next blocks of a stream that are not comments."""
    chunks = (fields_of(chunk.decode().removesuffix("\n\n")) for chunk in iter(stream))
    return list(islice((block for block in chunks if "" not in block), count))


def fields_of(block: str) -> dict[str, str]:
    lines = (line.partition(":") for line in block.split("\n"))
    return {name: value.strip() for name, _, value in lines}


def documented_events() -> set[str]:
    _text, event = EVENT_STREAM_SCHEMA["anyOf"]
    return set(event["properties"]["event"]["enum"])


def events_of(blocks: list[dict[str, str]]) -> list[tuple[str | None, str]]:
    return [(block.get("id"), block["event"]) for block in blocks if "event" in block]


def in_json(moment: Any) -> str:
    return str(moment.isoformat()).replace("+00:00", "Z")
