"""Placing and reading an order."""

from uuid import uuid4

import pytest

from events.models import OutboxEvent
from inventory.models import Product
from orders.models import IdempotencyRecord, Order, OrderTransition
from sagas.models import SagaRun
from sandbox.stripe_process import SandboxServer
from tests.support.in_memory_broker import MessageQueue
from tests.support.shelf import Shelf
from tests.support.storefront_client import ORDERS, PROBLEM, Storefront, cart, everything


def test_an_accepted_order_is_shown_as_it_was_placed(
    storefront: Storefront, messages: MessageQueue
) -> None:
    answer = storefront.order(cart(("TEE", 2), ("MUG", 1)))

    order = Order.objects.get()
    assert answer.status == 202
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Location"] == f"{ORDERS}/{order.pk}"
    assert answer.headers["Retry-After"] == "1"
    assert "Idempotency-Replayed" not in answer.headers
    placed_at = order.created_at.isoformat().replace("+00:00", "Z")
    assert answer.body == {
        "id": str(order.pk),
        "status": "placed",
        "version": 0,
        "total_minor": 6000,
        "currency": "eur",
        "reason": "",
        "reason_code": "",
        "created_at": placed_at,
        "updated_at": placed_at,
        "cancel_requested_at": None,
        "payment": {
            "status": "not_started",
            "authorized_minor": 0,
            "captured_minor": 0,
            "refunded_minor": 0,
        },
        "allowed_transitions": ["confirmed", "cancelling"],
        "reference": None,
        "can_cancel": True,
        "links": {
            "self": f"{ORDERS}/{order.pk}",
            "timeline": f"{ORDERS}/{order.pk}/timeline",
            "events": f"{ORDERS}/{order.pk}/events",
            "cancel": f"{ORDERS}/{order.pk}/cancel",
        },
        "items": [
            {"sku": "TEE", "name": "Tee", "quantity": 2, "unit_price_minor": 2500},
            {"sku": "MUG", "name": "Mug", "quantity": 1, "unit_price_minor": 1000},
        ],
    }
    assert order.customer == storefront.customer
    assert [message.run_id for message in messages.waiting] == [SagaRun.objects.get().pk]


def test_an_accepted_order_brings_its_run_its_key_and_its_fact_with_it(
    storefront: Storefront,
) -> None:
    answer = storefront.order(cart(("MUG", 1)), key="for-mother")

    run, event = SagaRun.objects.get(), OutboxEvent.objects.get()
    assert (run.saga, run.subject_id, run.status) == ("checkout", answer.order_id, "running")
    assert (event.name, event.key) == ("order.placed", answer.order_id)
    assert event.correlation_id == run.correlation_id
    assert event.payload == {
        "total_minor": 1000,
        "currency": "eur",
        "lines": [{"sku": "MUG", "quantity": 1}],
    }
    assert IdempotencyRecord.objects.get().key == "for-mother"
    assert not OrderTransition.objects.exists()


def test_a_sku_named_twice_is_one_line(storefront: Storefront) -> None:
    answer = storefront.order(cart(("MUG", 1), ("TEE", 1), ("MUG", 2)))

    assert [(each["sku"], each["quantity"]) for each in answer.body["items"]] == [
        ("MUG", 3),
        ("TEE", 1),
    ]
    assert answer.body["total_minor"] == 5500


def test_a_hundred_lines_are_accepted(storefront: Storefront, shelf: Shelf) -> None:
    for number in range(100):
        shelf.put(f"BOOK-{number}", 1)

    answer = storefront.order(cart(*((f"BOOK-{number}", 1) for number in range(100))))

    assert (answer.status, len(answer.body["items"])) == (202, 100)


def test_more_than_is_on_the_shelf_is_accepted_and_then_cancelled(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    order_id = storefront.order(cart(("MUG", 6))).order_id
    messages.deliver_all()

    shown = storefront.get(f"{ORDERS}/{order_id}").body

    assert (shown["status"], shown["reason_code"]) == ("cancelled", "out_of_stock")
    assert shown["reason"] == "Not enough of MUG is left."


def test_what_was_ordered_keeps_its_name_and_price(storefront: Storefront) -> None:
    placed = storefront.order(cart(("MUG", 1)))
    Product.objects.filter(sku="MUG").update(name="Cup", price_minor=9999, is_withdrawn=True)

    assert storefront.get(f"{ORDERS}/{placed.order_id}").body == placed.body


def test_an_order_can_be_followed_from_placed_to_confirmed(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    placed = storefront.order(cart(("MUG", 1)))
    path = placed.headers["Location"]
    before = storefront.get(path)
    messages.deliver_all()

    after = storefront.get(path)

    assert (before.status, before.body) == (200, placed.body)
    confirmed = Order.objects.get().transitions.get()
    assert after.status == 200
    assert after.body == {
        **placed.body,
        "status": "confirmed",
        "version": 1,
        "updated_at": confirmed.at.isoformat().replace("+00:00", "Z"),
        "payment": {
            "status": "captured",
            "authorized_minor": 1000,
            "captured_minor": 1000,
            "refunded_minor": 0,
        },
        "allowed_transitions": ["cancelling"],
    }


def test_what_is_nobodys_and_what_is_somebody_elses_look_the_same(
    storefront: Storefront, stranger: Storefront, messages: MessageQueue
) -> None:
    order_id = storefront.order(cart(("MUG", 1))).order_id
    messages.drop_all()
    before = everything()

    answers = [
        stranger.send(method, f"{ORDERS}/{each}{suffix}", headers={"Idempotency-Key": "k"})
        for each in (order_id, uuid4(), "no-uuid", str(order_id).upper(), f"{order_id}'", "1")
        for method, suffix in (("GET", ""), ("GET", "/timeline"), ("POST", "/cancel"))
    ]

    assert [answer.status for answer in answers] == [404] * 18
    assert {answer.headers["Content-Type"] for answer in answers} == {PROBLEM}
    assert [answer.told for answer in answers] == [answers[0].told] * 18
    assert answers[0].is_problem(404, "not-found")
    assert everything() == before
    assert messages.waiting == []


def test_the_products_are_those_for_sale_with_what_is_left_of_them(
    storefront: Storefront, shelf: Shelf, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    shelf.put("FAX", 5)
    Product.objects.filter(sku="FAX").update(is_withdrawn=True)
    order_id = storefront.order(cart(("MUG", 2))).order_id
    placed = available(storefront)
    messages.deliver_all()
    confirmed = available(storefront)
    storefront.cancel(order_id)
    messages.deliver_all()

    assert placed == {"MUG": 5, "TEE": 5}
    assert confirmed == {"MUG": 3, "TEE": 5}
    assert available(storefront) == {"MUG": 5, "TEE": 5}


def test_a_product_is_shown_with_its_price(storefront: Storefront) -> None:
    assert storefront.get("/api/v1/products").body["results"][1] == {
        "sku": "TEE",
        "name": "Tee",
        "price_minor": 2500,
        "currency": "eur",
        "available": 5,
    }


@pytest.mark.parametrize("path", ["/", "/api/v1/", f"{ORDERS}/", "/api/v2/orders", "/favicon.ico"])
def test_a_page_that_is_not_there_is_a_problem_too(storefront: Storefront, path: str) -> None:
    assert storefront.get(path).is_problem(404, "not-found")


def available(storefront: Storefront) -> dict[str, int]:
    """Return the listed products by SKU."""
    found = storefront.get("/api/v1/products").body["results"]
    return {each["sku"]: each["available"] for each in found}
