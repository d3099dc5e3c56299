"""The field ``customer`` of orders is only for the shop's server."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access.links import new_link
from orders.models import Order
from tests.support.in_memory_broker import MessageQueue, delivering_in_background
from tests.support.storefront_client import ORDERS, ApiResponse, Storefront, cart

MUG = cart(("MUG", 1))
FOR_ALICE = {**MUG, "customer": "alice"}

Request = Callable[[Storefront, str], ApiResponse]
REQUESTS: dict[str, Request] = {
    "read": lambda by, path: by.get(path),
    "cancelled": lambda by, path: by.send("POST", f"{path}/cancel", b"", {"Idempotency-Key": "k"}),
}


def customers_in(answer: ApiResponse) -> list[object]:
    return [order["customer"] for order in answer.body["results"]]


@pytest.mark.parametrize("send", REQUESTS.values(), ids=REQUESTS.keys())
def test_only_the_shops_server_gets_the_customer_of_an_order(
    storefront: Storefront, shop_server: Storefront, send: Request
) -> None:
    path = f"{ORDERS}/{storefront.order(MUG).order_id}"

    to_the_shop, to_alice = send(shop_server, path), send(storefront, path)

    assert to_the_shop.body["customer"] == "alice"
    assert "customer" not in to_alice.body


@pytest.mark.parametrize("placing", [(FOR_ALICE, "alice"), (MUG, None)])
@pytest.mark.parametrize("prefer", ["", "wait=10"])
@pytest.mark.usefixtures("disconnected_threads", "sandbox_stripe", "storefront")
def test_the_shops_server_gets_the_customer_when_it_places_and_repeats_an_order(
    shop_server: Storefront,
    messages: MessageQueue,
    placing: tuple[dict[str, object], str | None],
    prefer: str,
) -> None:
    body, customer = placing
    with delivering_in_background(messages):
        placed, again = (shop_server.order(body, "once", Prefer=prefer) for _ in range(2))

    assert (placed.body["customer"], again.is_replayed) == (customer, True)
    assert again.raw == placed.raw


def test_a_customer_gets_no_customer_field_for_a_placed_order(storefront: Storefront) -> None:
    assert "customer" not in storefront.order(MUG).body


def test_a_guest_link_shows_no_customer_even_with_the_shops_token(
    storefront: Storefront, shop_server: Storefront
) -> None:
    order_id = storefront.order(MUG).order_id
    link = new_link(order_id, shop_server.customer, days=1, may_cancel=True).token()

    answer = shop_server.get(f"/api/v1/guest/orders/{link}")

    assert answer.status == 200
    assert "customer" not in answer.body


def test_the_shops_server_finds_the_orders_of_one_customer(
    storefront: Storefront, stranger: Storefront, shop_server: Storefront
) -> None:
    for caller in (storefront, stranger, storefront):
        caller.order(MUG)
    shop_server.order(MUG)

    found = {
        query: customers_in(shop_server.get(f"{ORDERS}?{query}"))
        for query in ("", "customer=alice", "customer=ALICE", "customer=unknown")
    }

    assert found == {
        "": [None, "alice", "mallory", "alice"],
        "customer=alice": ["alice", "alice"],
        "customer=ALICE": [],
        "customer=unknown": [],
    }


def test_a_cursor_belongs_to_its_customer_filter(
    storefront: Storefront, stranger: Storefront, shop_server: Storefront
) -> None:
    for caller in (storefront, stranger, storefront):
        caller.order(MUG)
    first = shop_server.get(f"{ORDERS}?customer=alice&page_size=1")

    second = shop_server.get(first.body["next"])
    of_another = shop_server.get(first.body["next"].replace("alice", "mallory"))

    assert [*customers_in(first), *customers_in(second)] == ["alice", "alice"]
    assert second.body["next"] is None
    assert of_another.is_problem(400, "invalid-query")


@pytest.mark.parametrize("name", ["alice", "mallory"])
def test_customers_cannot_filter_by_customer(storefront: Storefront, name: str) -> None:
    storefront.order(MUG)

    assert storefront.get(f"{ORDERS}?customer={name}").is_problem(403, "scope-missing")


def test_customer_and_shop_get_different_etags(
    storefront: Storefront, shop_server: Storefront
) -> None:
    for path in (f"{ORDERS}/{storefront.order(MUG).order_id}", ORDERS):
        to_alice, to_the_shop = storefront.get(path), shop_server.get(path)
        known = {"If-None-Match": to_alice.headers["ETag"]}

        assert to_alice.headers["ETag"] != to_the_shop.headers["ETag"]
        assert storefront.send("GET", path, headers=known).status == 304
        assert shop_server.send("GET", path, headers=known).status == 200


def test_the_customer_field_needs_no_extra_statement(
    storefront: Storefront, shop_server: Storefront
) -> None:
    order_id = storefront.order(MUG).order_id
    storefront.order(MUG)

    def statements(by: Storefront, path: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert by.get(path).status == 200
        return len(captured)

    for path in (ORDERS, f"{ORDERS}/{order_id}"):
        assert statements(shop_server, path) == statements(storefront, path)


def test_placing_an_order_for_a_customer_reads_two_accounts(
    storefront: Storefront, shop_server: Storefront
) -> None:
    with CaptureQueriesContext(connection) as captured:
        shop_server.order(FOR_ALICE)

    account_queries = [query["sql"] for query in captured if 'FROM "auth_user"' in query["sql"]]
    assert Order.objects.get().customer == storefront.customer
    assert len(account_queries) == len(("caller", "customer"))
