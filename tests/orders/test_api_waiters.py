"""The limits on waiting requests: beyond them, a request is answered at once."""

import threading
from uuid import UUID

import pytest
from django.db import OperationalError, connection, transaction
from pytest_django import Settings

from orders.api.http.order_watcher import OrderWatcher, order_watcher
from orders.api.http.prefer_header import MAX_WAIT_SECONDS
from orders.models import Cause, Order
from orders.states import OrderStatus
from sandbox.stripe_process import SandboxServer
from tests.support.in_memory_broker import MessageQueue
from tests.support.repeated_requests import lose_saved_responses
from tests.support.storefront_client import ORDERS, Storefront, cart
from tests.support.waits import wait_until

MUG = cart(("MUG", 1))
LONG = {"Prefer": "wait=10"}

pytestmark = pytest.mark.usefixtures("disconnected_threads")


def test_a_request_beyond_the_process_limit_is_answered_at_once(
    storefront: Storefront, messages: MessageQueue, settings: Settings
) -> None:
    settings.WAITERS_PER_PROCESS = 1
    waiting = threading.Thread(target=order_and_wait, args=[storefront])
    waiting.start()
    wait_until(lambda: len(order_watcher._watches) == 1)
    first = Order.objects.get()

    beyond = storefront.order(MUG, "second", **LONG)
    others = [storefront.order(MUG).status, storefront.get(ORDERS).status]
    is_still_waiting = waiting.is_alive()
    confirm(first.pk)
    waiting.join()

    assert (beyond.status, beyond.body["status"]) == (202, "placed")
    assert "Preference-Applied" not in beyond.headers
    assert beyond.headers["Retry-After"] == "1"
    assert others == [202, 200]
    assert is_still_waiting


def test_each_customer_has_a_limit_of_waiting_requests(
    storefront: Storefront, stranger: Storefront, messages: MessageQueue, settings: Settings
) -> None:
    settings.WAITERS_PER_CUSTOMER = 1
    waiting = threading.Thread(target=order_and_wait, args=[storefront])
    waiting.start()
    wait_until(lambda: len(order_watcher._watches) == 1)
    first = Order.objects.get()

    beyond = storefront.order(MUG, Prefer="wait=1")
    another = stranger.order(MUG, Prefer="wait=1")
    confirm(first.pk)
    waiting.join()

    assert (beyond.status, another.status) == (202, 202)
    assert "Preference-Applied" not in beyond.headers
    assert another.headers["Preference-Applied"] == "wait=1"


def test_the_limit_is_released_after_a_wait(
    storefront: Storefront, messages: MessageQueue, settings: Settings
) -> None:
    settings.WAITERS_PER_PROCESS = 1

    responses = [storefront.order(MUG, Prefer="wait=1") for _ in range(2)]

    assert [response.headers["Preference-Applied"] for response in responses] == ["wait=1"] * 2


def test_a_settled_order_does_not_use_the_limit(
    storefront: Storefront,
    sandbox_stripe: SandboxServer,
    messages: MessageQueue,
    settings: Settings,
) -> None:
    settings.WAITERS_PER_PROCESS = 0
    storefront.order(MUG, key="once")
    lose_saved_responses()
    messages.deliver_all()

    response = storefront.order(MUG, key="once", **LONG)

    assert (response.status, response.headers["Preference-Applied"]) == (201, "wait=10")


def test_the_limit_is_released_when_waiting_fails(
    storefront: Storefront, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.WAITERS_PER_PROCESS = 1
    monkeypatch.setattr(OrderWatcher, "wait_for_status", fail)
    failed = storefront.order(MUG, **LONG)
    waits: list[float] = []
    monkeypatch.setattr(
        OrderWatcher, "wait_for_status", lambda _self, _order, _statuses, s: waits.append(s)
    )

    storefront.order(MUG, **LONG)

    assert (failed.status, waits) == (503, [MAX_WAIT_SECONDS])


def confirm(order_id: UUID) -> None:
    with transaction.atomic():
        Order.objects.transition({order_id: Cause("paid")}, OrderStatus.CONFIRMED)


def order_and_wait(storefront: Storefront) -> None:
    """Place an order in a thread, and close the thread's connection."""
    try:
        storefront.order(MUG, **LONG)
    finally:
        connection.close()


def fail(*_: object) -> None:
    raise OperationalError("gone")
