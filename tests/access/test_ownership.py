"""A caller cannot tell another customer's order from one that does not exist."""

import pytest
from pytest_django import DjangoAssertNumQueries

from orders.models import Order
from orders.states import OrderStatus
from sagas.identifiers import new_id
from tests.support.storefront_client import ORDERS, Storefront, cart


@pytest.fixture
def order_id(storefront: Storefront) -> str:
    return str(storefront.order(cart(("MUG", 1))).order_id)


@pytest.mark.parametrize("part", ["", "/timeline"])
def test_reading_another_customers_order_is_like_reading_an_unknown_one(
    order_id: str, stranger: Storefront, part: str
) -> None:
    of_another = stranger.get(f"{ORDERS}/{order_id}{part}")
    unknown = stranger.get(f"{ORDERS}/{new_id()}{part}")

    assert of_another.is_problem(404, "not-found")
    assert unknown.is_problem(404, "not-found")
    assert of_another.comparable == unknown.comparable


def test_cancelling_another_customers_order_is_like_cancelling_an_unknown_one(
    order_id: str, stranger: Storefront
) -> None:
    of_another = stranger.cancel(order_id)
    unknown = stranger.cancel(new_id())

    assert of_another.status == 404
    assert of_another.comparable == unknown.comparable
    assert Order.objects.get().status == OrderStatus.PLACED


def test_another_customers_order_needs_the_same_statements_as_an_unknown_one(
    order_id: str, stranger: Storefront, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for requested_id in (order_id, new_id()):
        with django_assert_num_queries(2):  # the token with its user; the order
            stranger.get(f"{ORDERS}/{requested_id}")


def test_the_shops_server_reads_and_cancels_all_orders(
    order_id: str, shop_server: Storefront
) -> None:
    seen = shop_server.get(f"{ORDERS}/{order_id}")
    cancelled = shop_server.cancel(order_id)

    assert (seen.status, seen.body["id"]) == (200, order_id)
    assert cancelled.status == 202
