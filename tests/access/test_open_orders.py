"""The limit of unfinished orders per customer."""

from functools import partial
from uuid import uuid4

import pytest
from django.test import Client
from pytest_django import Settings

from orders.models import IdempotencyRecord, Order
from tests.support.storefront_client import ORDERS, Storefront, cart
from tests.support.threads import run_at_once

MAX = 3


@pytest.fixture(autouse=True)
def limit(settings: Settings) -> None:
    settings.MAX_OPEN_ORDERS = MAX


def test_an_order_above_the_limit_is_refused_until_another_has_ended(
    storefront: Storefront,
) -> None:
    for _ in range(MAX):
        storefront.order(cart(("MUG", 1)))

    refused = storefront.order(cart(("MUG", 1)), "next")
    Order.objects.filter(pk=Order.objects.earliest("created_at").pk).update(status="confirmed")
    placed = storefront.order(cart(("MUG", 1)), "next")

    assert refused.is_problem(409, "too-many-open-orders")
    assert placed.status == 202
    assert Order.objects.count() == IdempotencyRecord.objects.count() == MAX + 1


def test_a_repeated_request_does_not_count(storefront: Storefront) -> None:
    first = storefront.order(cart(("MUG", 1)), "first")
    for _ in range(MAX - 1):
        storefront.order(cart(("MUG", 1)))

    assert storefront.order(cart(("MUG", 1)), "first").order_id == first.order_id


def test_the_limit_holds_for_concurrent_requests(storefront: Storefront) -> None:
    def order(key: str) -> int:
        headers = {"Authorization": f"Bearer {storefront.token}", "Idempotency-Key": key}
        body = cart(("MUG", 1))
        sent = Client().post(ORDERS, body, content_type="application/json", headers=headers)
        return int(sent.status_code)

    answers = run_at_once(*(partial(order, uuid4().hex) for _ in range(4 * MAX)))

    assert sorted(answers, key=str) == [202] * MAX + [409] * (3 * MAX)
    assert Order.objects.count() == MAX


def test_the_shops_server_has_no_limit_and_each_customer_has_their_own(
    storefront: Storefront, stranger: Storefront, shop_server: Storefront
) -> None:
    for _ in range(MAX):
        storefront.order(cart(("MUG", 1)))

    for_alice = shop_server.order({**cart(("MUG", 1)), "customer": "alice"})
    for_guest = shop_server.order(cart(("MUG", 1)))
    others = stranger.order(cart(("MUG", 1)))

    assert [for_alice.status, for_guest.status, others.status] == [202] * 3
