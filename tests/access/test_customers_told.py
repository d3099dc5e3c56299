"""``customer`` in orders: only for the shop's server."""

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

Ask = Callable[[Storefront, str], ApiResponse]
ASKS: dict[str, Ask] = {
    "read": lambda by, path: by.get(path),
    "cancelled": lambda by, path: by.send("POST", f"{path}/cancel", b"", {"Idempotency-Key": "k"}),
}


def listed(answer: ApiResponse) -> list[object]:
    return [each["customer"] for each in answer.body["results"]]


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS.keys())
def test_the_shops_server_is_told_whose_an_order_is_and_its_customer_is_not(
    storefront: Storefront, shop_server: Storefront, ask: Ask
) -> None:
    path = f"{ORDERS}/{storefront.order(MUG).order_id}"

    to_the_shop, to_alice = ask(shop_server, path), ask(storefront, path)

    assert to_the_shop.body["customer"] == "alice"
    assert "customer" not in to_alice.body


@pytest.mark.parametrize("placing", [(FOR_ALICE, "alice"), (MUG, None)])
@pytest.mark.parametrize("prefer", ["", "wait=10"])
@pytest.mark.usefixtures("disconnected_threads", "sandbox_stripe", "storefront")
def test_the_shops_server_is_told_when_it_places_an_order_and_again_when_it_repeats(
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


def test_no_customer_is_told_of_an_order_placed(storefront: Storefront) -> None:
    assert "customer" not in storefront.order(MUG).body


def test_a_guest_is_told_no_name_even_if_the_shops_token_comes_along(
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
    for each in (storefront, stranger, storefront):
        each.order(MUG)
    shop_server.order(MUG)

    asked = {
        query: listed(shop_server.get(f"{ORDERS}?{query}"))
        for query in ("", "customer=alice", "customer=ALICE", "customer=nobody")
    }

    assert asked == {
        "": [None, "alice", "mallory", "alice"],
        "customer=alice": ["alice", "alice"],
        "customer=ALICE": [],
        "customer=nobody": [],
    }


def test_pages_stay_with_the_customer_who_was_asked_for(
    storefront: Storefront, stranger: Storefront, shop_server: Storefront
) -> None:
    for each in (storefront, stranger, storefront):
        each.order(MUG)
    first = shop_server.get(f"{ORDERS}?customer=alice&page_size=1")

    second = shop_server.get(first.body["next"])
    of_another = shop_server.get(first.body["next"].replace("alice", "mallory"))

    assert [*listed(first), *listed(second)] == ["alice", "alice"]
    assert second.body["next"] is None
    assert of_another.is_problem(400, "invalid-query")


@pytest.mark.parametrize("name", ["alice", "mallory"])
def test_no_customer_may_ask_for_one_by_name(storefront: Storefront, name: str) -> None:
    storefront.order(MUG)

    assert storefront.get(f"{ORDERS}?customer={name}").is_problem(403, "scope-missing")


def test_what_a_customer_has_is_not_what_the_shop_would_be_shown(
    storefront: Storefront, shop_server: Storefront
) -> None:
    for path in (f"{ORDERS}/{storefront.order(MUG).order_id}", ORDERS):
        to_alice, to_the_shop = storefront.get(path), shop_server.get(path)
        known = {"If-None-Match": to_alice.headers["ETag"]}

        assert to_alice.headers["ETag"] != to_the_shop.headers["ETag"]
        assert storefront.send("GET", path, headers=known).status == 304
        assert shop_server.send("GET", path, headers=known).status == 200


def test_telling_whose_they_are_takes_no_statement_more(
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


def test_placing_an_order_for_a_customer_takes_no_statement_to_tell_whose_it_is(
    storefront: Storefront, shop_server: Storefront
) -> None:
    with CaptureQueriesContext(connection) as captured:
        shop_server.order(FOR_ALICE)

    of_accounts = [each["sql"] for each in captured if 'FROM "auth_user"' in each["sql"]]
    assert Order.objects.get().customer == storefront.customer
    assert len(of_accounts) == len(("who asks", "for whom"))
