"""References: a customer can use each for one order only."""

import re
from uuid import uuid4

import pytest

from orders.models import IdempotencyRecord, Order
from tests.support.database import all_rows
from tests.support.in_memory_broker import MessageQueue
from tests.support.repeated_requests import CLIENTS, send_at_once
from tests.support.storefront_client import ORDERS, Storefront, cart

MUG = {**cart(("MUG", 1)), "reference": "cart-7"}


def test_an_order_shows_its_reference(storefront: Storefront) -> None:
    placed = storefront.order(MUG)
    nameless = storefront.order(cart(("MUG", 1)))

    assert placed.body["reference"] == "cart-7"
    assert storefront.get(f"{ORDERS}/{placed.order_id}").body["reference"] == "cart-7"
    assert nameless.body["reference"] is None


def test_a_used_reference_returns_409_with_its_order(
    storefront: Storefront, messages: MessageQueue
) -> None:
    first = storefront.order(MUG)
    messages.drop_all()
    before = all_rows()

    again = storefront.order(MUG, key="another")

    assert again.is_problem(409, "reference-already-used")
    assert again.body["order_id"] == first.body["id"]
    assert again.headers["Location"] == f"{ORDERS}/{first.order_id}"
    assert again.pointers == ["/reference"]
    assert all_rows() == before
    assert messages.waiting == []


def test_a_reference_stays_used_after_cancellation_and_key_expiry(
    storefront: Storefront, messages: MessageQueue
) -> None:
    body = {**MUG, "payment_method": "pm_card_visa_chargeDeclined"}
    first = storefront.order(body, key="once")
    storefront.cancel(first.order_id)
    messages.deliver_all()
    IdempotencyRecord.objects.all().delete()

    again = storefront.order(body, key="once")

    assert Order.objects.get().status == "cancelled"
    assert again.is_problem(409, "reference-already-used")
    assert again.body["order_id"] == first.body["id"]


def test_the_same_key_and_reference_is_a_repetition(storefront: Storefront) -> None:
    first = storefront.order(MUG, key="once")

    again = storefront.order(MUG, key="once")

    assert (again.status, again.raw, again.is_replayed) == (202, first.raw, True)


def test_a_refused_request_leaves_its_reference_unused(storefront: Storefront) -> None:
    storefront.order({**cart(("NO-SUCH", 1)), "reference": "cart-7"})

    assert storefront.order(MUG).status == 202


def test_references_are_separate_for_each_customer(
    storefront: Storefront, stranger: Storefront
) -> None:
    mine = storefront.order(MUG)

    theirs = stranger.order(MUG)
    again = stranger.order(MUG)

    assert theirs.status == 202
    assert again.body["order_id"] == theirs.body["id"]
    assert str(mine.order_id) not in again.raw.decode()


def test_all_guests_share_the_references(shop_server: Storefront, storefront: Storefront) -> None:
    storefront.order(MUG)
    guests = shop_server.order(MUG)

    again = shop_server.order(MUG)
    for_alice = shop_server.order({**MUG, "customer": "alice"})

    assert guests.status == 202
    assert again.body["order_id"] == guests.body["id"]
    assert for_alice.is_problem(409, "reference-already-used")
    assert for_alice.body["order_id"] != guests.body["id"]


def test_fifty_concurrent_requests_with_one_reference_place_one_order(
    storefront: Storefront, messages: MessageQueue
) -> None:
    responses = send_at_once(lambda: storefront.order(MUG, key=uuid4().hex))

    order = Order.objects.get()
    assert sorted(response.status for response in responses) == [202] + [409] * (CLIENTS - 1)
    assert {response.body.get("order_id", str(order.pk)) for response in responses} == {
        str(order.pk)
    }
    assert IdempotencyRecord.objects.count() == 1
    assert len(messages.waiting) == 1


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "x" * 65,
        "two words",
        "cart/7",
        "7\n",
        "\0",
        "ä",
        "\u202ecart",
        "🛒",
        "=1+1",
        "-\r\nx",
        7,
        True,
        [],
    ],
)
def test_an_invalid_reference_is_refused(
    storefront: Storefront, messages: MessageQueue, reference: object
) -> None:
    before = all_rows()

    response = storefront.order({**MUG, "reference": reference})

    assert response.is_problem(422, "invalid-request")
    assert response.pointers == ["/reference"]
    assert all_rows() == before


@pytest.mark.parametrize("reference", ["7", "x" * 64, "2026-11-21:cart_7.a", "CART-7"])
def test_a_valid_reference_is_stored_unchanged(storefront: Storefront, reference: str) -> None:
    storefront.order({**MUG, "reference": reference})

    assert Order.objects.get().reference == reference
    assert re.fullmatch(r"[A-Za-z0-9._:-]{1,64}", reference)
