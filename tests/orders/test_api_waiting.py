"""``Prefer: wait``: the response comes when the order settles, or after N seconds."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from pytest_django import Settings

from orders.api.http.idempotency import IdempotentRequest, SavedResponse, save_response
from orders.api.http.order_watcher import OrderWatcher, order_watcher
from orders.api.http.prefer_header import MAX_WAIT_SECONDS
from orders.api.http.row_watcher import RowWatch
from orders.models import Cause, Order, OrderProgress
from orders.states import SETTLED, OrderStatus
from sandbox.stripe_process import SandboxServer
from tests.support.in_memory_broker import MessageQueue, delivering_in_background
from tests.support.repeated_requests import CLIENTS, lose_saved_responses, order_at_once
from tests.support.storefront_client import ApiResponse, Storefront, cart
from tests.support.waits import wait_until

MUG = cart(("MUG", 1))
AS_PLACED = OrderProgress(0, is_cancel_requested=False)

pytestmark = pytest.mark.usefixtures("disconnected_threads")


@pytest.mark.usefixtures("long_waits")
def test_a_waiting_request_returns_the_confirmed_order(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    with delivering_in_background(messages):
        response = storefront.order(MUG, Prefer="wait=60")

    assert (response.status, response.body["status"]) == (201, "confirmed")
    assert response.headers["Location"] == f"/api/v1/orders/{response.order_id}"
    assert "Retry-After" not in response.headers


@pytest.mark.usefixtures("long_waits")
def test_a_waiting_request_returns_the_cancelled_order_and_its_reason(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    with delivering_in_background(messages):
        response = storefront.order(
            cart(("MUG", 1), payment_method="pm_card_chargeDeclinedInsufficientFunds"),
            Prefer="wait=60",
        )

    assert (response.status, response.body["status"]) == (201, "cancelled")
    assert response.body["reason"] == "Your card has insufficient funds."


def test_a_wait_that_ends_before_the_order_settles_returns_202(
    storefront: Storefront, messages: MessageQueue
) -> None:
    response = storefront.order(MUG, Prefer="wait=1")

    assert (response.status, response.body["status"]) == (202, "placed")
    assert response.headers["Retry-After"] == "1"
    assert len(messages.waiting) == 1


@pytest.mark.usefixtures("long_waits")
def test_a_repetition_returns_the_response_of_the_wait(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    with delivering_in_background(messages):
        first = storefront.order(MUG, key="once", Prefer="wait=60")
        storefront.cancel(first.order_id, Prefer="wait=60")

    again = storefront.order(MUG, key="once")

    assert (first.status, first.body["status"]) == (201, "confirmed")
    assert (again.status, again.raw, again.is_replayed) == (201, first.raw, True)
    assert "Retry-After" not in again.headers


@pytest.mark.usefixtures("long_waits")
def test_a_repetition_without_a_wait_does_not_decide_the_response(storefront: Storefront) -> None:
    with ThreadPoolExecutor(1) as client:
        first = client.submit(order_and_wait, storefront)
        wait_until(lambda: len(order_watcher._watches) == 1)
        meanwhile = storefront.order(MUG, key="once")
        confirm(meanwhile.order_id)
    afterwards = storefront.order(MUG, key="once")

    assert (meanwhile.status, meanwhile.body["status"], meanwhile.is_replayed) == (
        *(202, "placed"),
        True,
    )
    assert (first.result().status, first.result().body["status"]) == (201, "confirmed")
    assert (afterwards.status, afterwards.raw) == (201, first.result().raw)
    assert Order.objects.count() == 1


@pytest.mark.usefixtures("long_waits")
@pytest.mark.parametrize("limit", [1, 2], ids=["limit reached", "wait ended"])
def test_a_repetition_whose_wait_ends_does_not_decide_the_response(
    storefront: Storefront, settings: Settings, limit: int
) -> None:
    settings.WAITERS_PER_PROCESS = settings.WAITERS_PER_CUSTOMER = limit
    with ThreadPoolExecutor(1) as client:
        first = client.submit(order_and_wait, storefront)
        wait_until(lambda: len(order_watcher._watches) == 1)
        meanwhile = storefront.order(MUG, key="once", Prefer="wait=1")
        confirm(meanwhile.order_id)
    afterwards = storefront.order(MUG, key="once", Prefer="wait=1")

    assert (meanwhile.status, meanwhile.body["status"]) == (202, "placed")
    assert (meanwhile.is_replayed, meanwhile.headers["Retry-After"]) == (True, "1")
    assert (first.result().status, first.result().body["status"]) == (201, "confirmed")
    assert (afterwards.status, afterwards.raw) == (201, first.result().raw)
    assert afterwards.is_replayed
    assert Order.objects.count() == 1


def test_a_repetition_returns_a_response_saved_during_its_wait(
    storefront: Storefront, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = storefront.order(MUG, key="once")
    lose_saved_responses()
    saved = SavedResponse(202, '{"id": "first", "links": {"pay": null}}')
    idempotent_request = IdempotentRequest(storefront.customer.pk, "once", b"")
    monkeypatch.setattr(
        OrderWatcher, "wait_for_status", lambda *_: save_response(idempotent_request, saved)
    )

    again = storefront.order(MUG, key="once", Prefer="wait=2")

    assert first.status == 202
    assert (again.status, again.body["id"], again.is_replayed) == (202, "first", True)


def test_fifty_repetitions_beyond_the_limit_do_not_decide_the_response(
    storefront: Storefront, messages: MessageQueue, settings: Settings
) -> None:
    settings.WAITERS_PER_PROCESS = settings.WAITERS_PER_CUSTOMER = 0
    first = storefront.order(MUG, key="once")
    lose_saved_responses()

    responses = order_at_once(storefront, MUG, key="once", Prefer="wait=10")
    confirm(first.order_id)
    afterwards = storefront.order(MUG, key="once", Prefer="wait=10")

    assert {(response.status, response.raw) for response in responses} == {(202, first.raw)}
    assert all(response.is_replayed for response in responses)
    assert (afterwards.status, afterwards.body["status"]) == (201, "confirmed")
    assert Order.objects.count() == 1


def test_fifty_concurrent_waits_return_the_same_response(
    storefront: Storefront,
    sandbox_stripe: SandboxServer,
    messages: MessageQueue,
    settings: Settings,
) -> None:
    settings.WAITERS_PER_PROCESS = settings.WAITERS_PER_CUSTOMER = CLIENTS
    with delivering_in_background(messages):
        responses = order_at_once(storefront, MUG, key="once", Prefer="wait=60")

    assert {(response.status, response.raw) for response in responses} == {(201, responses[0].raw)}
    assert sum(response.is_replayed for response in responses) == CLIENTS - 1
    assert Order.objects.get().status == "confirmed"


def test_a_response_that_was_never_sent_is_decided_again(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    first = storefront.order(MUG, key="once")
    lose_saved_responses()
    messages.deliver_all()

    again = storefront.order(MUG, key="once", Prefer="wait=10")
    afterwards = storefront.order(MUG, key="once")

    assert (again.status, again.order_id, again.is_replayed) == (201, first.order_id, True)
    assert (afterwards.status, afterwards.raw) == (201, again.raw)


@pytest.mark.parametrize(
    "prefer",
    [
        *("", "respond-async", "wait", "wait=", "wait=-1", "wait=0", "wait=1.5", "wait=soon"),
        *("await=5", "wait-for=5", "respond-async; wait=5", 'return="wait=5"', "wait=0, wait=5"),
        *('foo="wait=5', "wait 5", "wait=5 6", "=5, ;wait=5", "wait=\u0661"),
    ],
)
def test_a_request_without_a_valid_preference_does_not_wait(
    storefront: Storefront, monkeypatch: pytest.MonkeyPatch, prefer: str
) -> None:
    waits = record_waits(monkeypatch)

    response = storefront.order(MUG, Prefer=prefer)

    assert response.status == 202
    assert waits == []


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=7", 7),
        ("respond-async, wait=7", 7),
        ("respond-async,wait = 7", 7),
        ("WAIT=7", 7),
        ('wait="7"', 7),
        ("wait=7; strictly=yes", 7),
        ("wait=007", 7),
        ("wait=7, wait=3", 7),  # the first counts; several headers come as one
        ('handling="lenient, wait=3", wait=7', 7),
        ('handling="a \\" quote, wait=3", wait=7', 7),
        (", ,wait=7,", 7),
        ("wait=11", MAX_WAIT_SECONDS),
        ("wait=999999", MAX_WAIT_SECONDS),
        ("wait=" + "9" * 5000, MAX_WAIT_SECONDS),
    ],
)
def test_a_wait_is_at_most_ten_seconds(
    storefront: Storefront, monkeypatch: pytest.MonkeyPatch, prefer: str, seconds: int
) -> None:
    waits = record_waits(monkeypatch)

    storefront.order(MUG, Prefer=prefer)

    assert waits == [seconds]


@pytest.mark.usefixtures("long_waits")
def test_a_cancellation_can_wait_for_its_end(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    order_id = storefront.order(MUG).order_id
    messages.deliver_all()

    with delivering_in_background(messages):
        response = storefront.cancel(order_id, Prefer="wait=60")

    assert response.body["status"] == "cancelled"
    assert "Retry-After" not in response.headers


def test_the_watcher_wakes_each_request_for_its_own_order(storefront: Storefront) -> None:
    watcher = OrderWatcher()
    ids = [storefront.order(MUG).order_id for _ in range(3)]
    woken: list[UUID] = []

    def wait(order_id: UUID) -> None:
        watcher.wait_for_status(order_id, SETTLED, 60)
        woken.append(order_id)

    waiting = [threading.Thread(target=wait, args=[order_id]) for order_id in ids]
    for thread in waiting:
        thread.start()
    for number, thread in enumerate(waiting, start=1):
        with transaction.atomic():
            Order.objects.transition({ids[number - 1]: Cause("paid")}, OrderStatus.CONFIRMED)
        thread.join()

        assert woken == ids[:number]


def test_the_number_of_statements_is_independent_of_the_number_of_waiting_requests(
    storefront: Storefront,
    statements_by_thread: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watcher = OrderWatcher()
    ids = [storefront.order(MUG).order_id for _ in range(5)]
    statements_by_thread.clear()
    polls = count_watches_per_poll(watcher, monkeypatch)

    waiting = [
        threading.Thread(
            target=watcher.wait_for_status, args=[ids[n % 5], SETTLED, 60], name="client"
        )
        for n in range(50)
    ]
    for thread in waiting:
        thread.start()
    wait_until(lambda: len(polls) >= 20 and polls[-1] == 50)
    for order_id in ids:
        with transaction.atomic():
            Order.objects.transition({order_id: Cause("paid")}, OrderStatus.CONFIRMED)
    for thread in waiting:
        thread.join()

    # One statement per poll; the last poll may still be running.
    assert statements_by_thread["order-watcher"] in (len(polls) - 1, len(polls))
    assert statements_by_thread["client"] == 0


def test_a_poll_is_one_statement(storefront: Storefront, django_assert_num_queries: Any) -> None:
    ids = [storefront.order(MUG).order_id for _ in range(3)]
    awaited: dict[threading.Event, RowWatch[Order]] = {
        threading.Event(): RowWatch(ids[n % 3], lambda order: order.version > 0, is_urgent=True)
        for n in range(50)
    }
    with transaction.atomic():
        Order.objects.transition({ids[0]: Cause("paid")}, OrderStatus.CONFIRMED)

    with django_assert_num_queries(1):
        OrderWatcher()._poll(awaited)

    woken = {watch.row_id for reached, watch in awaited.items() if reached.is_set()}
    assert woken == {ids[0]}


def test_a_waiting_request_has_no_open_transaction(
    storefront: Storefront, statements_by_thread: Counter[str]
) -> None:
    watcher = OrderWatcher()
    order_id = storefront.order(MUG).order_id
    answered = threading.Thread(target=watcher.wait_for_status, args=[order_id, SETTLED, 30])
    answered.start()
    states: set[str] = set()
    with connection.cursor() as cursor:
        while statements_by_thread["order-watcher"] < 5:
            states.update(states_of_others(cursor))
    with transaction.atomic():
        Order.objects.transition({order_id: Cause("paid")}, OrderStatus.CONFIRMED)
    answered.join()

    assert states <= {"idle", "active"}


def test_the_watcher_continues_after_database_errors(
    storefront: Storefront, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = OrderWatcher()
    order_id = storefront.order(MUG).order_id
    poll, failures = watcher._poll, [OperationalError("gone"), InterfaceError("closed")]

    def fail_first(awaited: dict[threading.Event, RowWatch[Order]]) -> None:
        if failures:
            raise failures.pop()
        poll(awaited)

    monkeypatch.setattr(watcher, "_poll", fail_first)
    monkeypatch.setattr("orders.api.http.row_watcher.DATABASE_RETRY_SECONDS", 0.01)
    with transaction.atomic():
        Order.objects.transition({order_id: Cause("paid")}, OrderStatus.CONFIRMED)

    assert watcher.wait_for_change(Order(pk=order_id), 60)
    assert failures == []


def test_a_waiting_request_is_not_delayed_by_the_slower_polling_of_streams(
    storefront: Storefront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orders.api.http.row_watcher.STREAM_POLL_SECONDS", 60)
    watcher = OrderWatcher()
    idle, order_id = (storefront.order(MUG).order_id for _ in range(2))
    watching = threading.Thread(target=watcher.wait_for_change, args=[Order(pk=idle), 1])
    watching.start()
    with transaction.atomic():
        Order.objects.transition({order_id: Cause("paid")}, OrderStatus.CONFIRMED)

    answered = threading.Thread(target=watcher.wait_for_status, args=[order_id, SETTLED, 100])
    answered.start()
    answered.join(50)

    assert not answered.is_alive()
    watching.join()


@pytest.fixture
def statements_by_thread(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the statements by thread name."""
    counted: Counter[str] = Counter()
    execute = CursorWrapper.execute

    def count(self: CursorWrapper, *args: Any, **options: Any) -> Any:
        counted[threading.current_thread().name] += 1
        return execute(self, *args, **options)

    monkeypatch.setattr(CursorWrapper, "execute", count)
    return counted


def count_watches_per_poll(watcher: OrderWatcher, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the number of watches of each poll."""
    polls: list[int] = []
    poll = watcher._poll

    def count(awaited: dict[threading.Event, RowWatch[Order]]) -> None:
        polls.append(len(awaited))
        poll(awaited)

    monkeypatch.setattr(watcher, "_poll", count)
    return polls


def states_of_others(cursor: CursorWrapper) -> list[str]:
    cursor.execute(
        "SELECT state FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND state IS NOT NULL AND state <> 'starting'"  # sessions that are still logging in
    )
    return [state for (state,) in cursor.fetchall()]


def record_waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the seconds of each wait, and do not wait."""
    waits: list[float] = []
    monkeypatch.setattr(
        OrderWatcher, "wait_for_status", lambda _self, _order, _statuses, s: waits.append(s)
    )
    return waits


def confirm(order_id: UUID) -> None:
    with transaction.atomic():
        Order.objects.transition({order_id: Cause("paid")}, OrderStatus.CONFIRMED)


def order_and_wait(storefront: Storefront) -> ApiResponse:
    """Place an order in a thread, and close the thread's connection."""
    try:
        return storefront.order(MUG, key="once", Prefer="wait=60")
    finally:
        connection.close()
