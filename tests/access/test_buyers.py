"""The customer of an order: the caller, one that the shop's server names, or a guest."""

from functools import partial

import pytest
from django.contrib.auth.models import User
from django.test import Client

from invariants.checking import check
from orders.models import IdempotencyRecord, Order
from tests.support.database import all_rows
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import ORDERS, Storefront, cart
from tests.support.threads import run_at_once

CLIENTS = 12


def for_customer(name: object) -> dict[str, object]:
    return {**cart(("MUG", 1)), "customer": name}


def test_a_customer_sees_an_order_that_the_shops_server_placed_for_them(
    storefront: Storefront, shop_server: Storefront
) -> None:
    placed = shop_server.order(for_customer("alice"))

    assert placed.status == 202
    assert Order.objects.get().customer == storefront.customer
    assert storefront.get(f"{ORDERS}/{placed.order_id}").status == 200


def test_an_unknown_customer_is_created_with_the_order(
    storefront: Storefront, shop_server: Storefront
) -> None:
    first = shop_server.order(for_customer("crm-77@shop.example"))
    second = shop_server.order(for_customer("crm-77@shop.example"))

    customer = User.objects.get(username="crm-77@shop.example")
    assert (first.status, second.status) == (202, 202)
    assert customer.orders.count() == 2
    assert not customer.has_usable_password()
    assert not customer.is_staff


def test_a_refused_order_creates_no_customer(
    storefront: Storefront, shop_server: Storefront
) -> None:
    refused = shop_server.order({**cart(("GONE", 1)), "customer": "unknown-customer"})

    assert refused.is_problem(422, "invalid-request")
    assert not User.objects.filter(username="unknown-customer").exists()


def test_concurrent_first_orders_create_one_customer(
    storefront: Storefront, shop_server: Storefront
) -> None:
    def order(number: int) -> int:
        headers = {"Authorization": f"Bearer {shop_server.token}", "Idempotency-Key": str(number)}
        body = for_customer("new-customer")
        sent = Client().post(ORDERS, body, content_type="application/json", headers=headers)
        return int(sent.status_code)

    answers = run_at_once(*(partial(order, number) for number in range(CLIENTS)))

    assert answers == [202] * CLIENTS
    assert User.objects.get(username="new-customer").orders.count() == CLIENTS


def test_a_repeated_request_of_the_shops_server_is_one_order(
    storefront: Storefront, shop_server: Storefront
) -> None:
    first = shop_server.order(for_customer("bob"), key="cart-1")
    again = shop_server.order(for_customer("bob"), key="cart-1")
    other = shop_server.order(for_customer("carol"), key="cart-1")

    assert (again.order_id, again.is_replayed) == (first.order_id, True)
    assert other.is_problem(422, "idempotency-key-reused")
    assert not User.objects.filter(username="carol").exists()
    assert IdempotencyRecord.objects.get().customer == shop_server.customer


def test_without_a_customer_the_shops_server_orders_for_a_guest(
    storefront: Storefront, shop_server: Storefront, messages: MessageQueue
) -> None:
    placed = shop_server.order(cart(("MUG", 1)))

    assert placed.status == 202
    assert Order.objects.get().customer is None
    assert storefront.get(f"{ORDERS}/{placed.order_id}").is_problem(404, "not-found")
    assert shop_server.get(f"{ORDERS}/{placed.order_id}").status == 200


@pytest.mark.parametrize("name", ["mallory", "alice"], ids=["another", "themselves"])
def test_a_customer_cannot_name_a_customer(storefront: Storefront, name: str) -> None:
    before = all_rows()

    refused = storefront.order(for_customer(name))

    assert refused.is_problem(403, "scope-missing")
    assert "shop" in refused.body["detail"]
    assert all_rows() == before


def test_orders_for_a_blocked_customer_are_refused(
    storefront: Storefront, shop_server: Storefront
) -> None:
    User.objects.filter(username="alice").update(is_active=False)
    before = all_rows()

    refused = shop_server.order(for_customer("alice"))

    assert refused.is_problem(422, "invalid-request")
    assert refused.pointers == ["/customer"]
    assert all_rows() == before


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a" * 151, "\u0430lice", "alice\n", "a/b", "\x00", 7, [], {}, True]
)
def test_an_invalid_customer_name_is_refused(
    storefront: Storefront, shop_server: Storefront, name: object
) -> None:
    before = all_rows()

    refused = shop_server.order(for_customer(name))

    assert refused.is_problem(422, "invalid-request")
    assert refused.pointers == ["/customer"]
    assert all_rows() == before


def test_orders_of_the_shops_server_break_no_invariant(
    storefront: Storefront, shop_server: Storefront
) -> None:
    shop_server.order(for_customer("alice"))
    guests = shop_server.order(cart(("MUG", 1)))
    shop_server.cancel(guests.order_id)

    report = check()

    assert [finding.code for finding in report.findings] == []
