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
def test_a_stranger_reads_the_same_as_of_an_order_that_never_was(
    order_id: str, stranger: Storefront, part: str
) -> None:
    others = stranger.get(f"{ORDERS}/{order_id}{part}")
    nobodys = stranger.get(f"{ORDERS}/{new_id()}{part}")

    assert others.is_problem(404, "not-found")
    assert nobodys.is_problem(404, "not-found")
    assert others.comparable == nobodys.comparable


def test_a_stranger_cancels_nothing_and_is_told_nothing(
    order_id: str, stranger: Storefront
) -> None:
    others = stranger.cancel(order_id)
    nobodys = stranger.cancel(new_id())

    assert others.status == 404
    assert others.comparable == nobodys.comparable
    assert Order.objects.get().status == OrderStatus.PLACED


def test_looking_for_others_takes_the_same_statements_as_looking_for_nothing(
    order_id: str, stranger: Storefront, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for asked in (order_id, new_id()):
        with django_assert_num_queries(2):  # the token with its user; the order
            stranger.get(f"{ORDERS}/{asked}")


def test_the_shops_server_sees_and_cancels_everybodys_orders(
    order_id: str, shop_server: Storefront
) -> None:
    seen = shop_server.get(f"{ORDERS}/{order_id}")
    cancelled = shop_server.cancel(order_id)

    assert (seen.status, seen.body["id"]) == (200, order_id)
    assert cancelled.status == 202
