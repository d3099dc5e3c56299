"""Placing and reading an order."""

from uuid import uuid4

import pytest

from events.models import OutboxEvent
from inventory.models import Product
from orders.models import IdempotencyRecord, Order, OrderTransition
from payments.models import Payment
from sagas.models import SagaRun
from sandbox.stripe_process import SandboxServer
from tests.support.database import all_rows
from tests.support.in_memory_broker import MessageQueue
from tests.support.shop import Shelf
from tests.support.storefront_client import ORDERS, PROBLEM, Storefront, cart


def test_placing_an_order_returns_it_as_placed(
    storefront: Storefront, messages: MessageQueue
) -> None:
    response = storefront.order(cart(("TEE", 2), ("MUG", 1)))

    order = Order.objects.get()
    assert response.status == 202
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Location"] == f"{ORDERS}/{order.pk}"
    assert response.headers["Retry-After"] == "1"
    assert "Idempotency-Replayed" not in response.headers
    placed_at = order.created_at.isoformat().replace("+00:00", "Z")
    assert response.body == {
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
        "waiting_for": None,
        "next_action": None,
        "payment": {
            "status": "not_started",
            "id": None,
            "number": 0,
            "payment_method": None,
            "decline": None,
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
            "pay": None,
            "check": None,
        },
        "items": [
            {"sku": "TEE", "name": "Tee", "quantity": 2, "unit_price_minor": 2500},
            {"sku": "MUG", "name": "Mug", "quantity": 1, "unit_price_minor": 1000},
        ],
    }
    assert order.customer == storefront.customer
    assert [message.run_id for message in messages.waiting] == [SagaRun.objects.get().pk]


def test_placing_an_order_stores_its_run_key_and_event(
    storefront: Storefront,
) -> None:
    response = storefront.order(cart(("MUG", 1)), key="for-mother")

    run, event = SagaRun.objects.get(), OutboxEvent.objects.get()
    assert (run.saga, run.subject_id, run.status) == ("checkout", response.order_id, "running")
    assert (event.name, event.key) == ("order.placed", response.order_id)
    assert event.correlation_id == run.correlation_id
    assert event.payload == {
        "total_minor": 1000,
        "currency": "eur",
        "lines": [{"sku": "MUG", "quantity": 1}],
    }
    assert IdempotencyRecord.objects.get().key == "for-mother"
    assert not OrderTransition.objects.exists()


def test_a_sku_named_twice_is_one_line(storefront: Storefront) -> None:
    response = storefront.order(cart(("MUG", 1), ("TEE", 1), ("MUG", 2)))

    assert [(item["sku"], item["quantity"]) for item in response.body["items"]] == [
        ("MUG", 3),
        ("TEE", 1),
    ]
    assert response.body["total_minor"] == 5500


def test_a_hundred_lines_are_accepted(storefront: Storefront, shelf: Shelf) -> None:
    for number in range(100):
        shelf.put(f"BOOK-{number}", 1)

    response = storefront.order(cart(*((f"BOOK-{number}", 1) for number in range(100))))

    assert (response.status, len(response.body["items"])) == (202, 100)


def test_an_order_above_the_available_stock_is_accepted_and_then_cancelled(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    order_id = storefront.order(cart(("MUG", 6))).order_id
    messages.deliver_all()

    shown = storefront.get(f"{ORDERS}/{order_id}").body

    assert (shown["status"], shown["reason_code"]) == ("cancelled", "out_of_stock")
    assert shown["reason"] == "Not enough of MUG is left."


def test_an_order_keeps_its_names_and_prices(storefront: Storefront) -> None:
    placed = storefront.order(cart(("MUG", 1)))
    Product.objects.filter(sku="MUG").update(name="Cup", price_minor=9999, is_withdrawn=True)

    assert storefront.get(f"{ORDERS}/{placed.order_id}").body == placed.body


def test_reading_an_order_shows_its_progress(
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
            "id": str(Payment.objects.get().pk),
            "number": 1,
            "payment_method": "pm_card_visa",
            "decline": None,
            "authorized_minor": 1000,
            "captured_minor": 1000,
            "refunded_minor": 0,
        },
        "allowed_transitions": ["cancelling"],
    }


def test_an_unknown_order_and_the_order_of_another_return_the_same_404(
    storefront: Storefront, stranger: Storefront, messages: MessageQueue
) -> None:
    order_id = storefront.order(cart(("MUG", 1))).order_id
    messages.drop_all()
    before = all_rows()

    responses = [
        stranger.send(method, f"{ORDERS}/{name}{suffix}", headers={"Idempotency-Key": "k"})
        for name in (order_id, uuid4(), "no-uuid", str(order_id).upper(), f"{order_id}'", "1")
        for method, suffix in (("GET", ""), ("GET", "/timeline"), ("POST", "/cancel"))
    ]

    assert [response.status for response in responses] == [404] * 18
    assert {response.headers["Content-Type"] for response in responses} == {PROBLEM}
    assert [response.comparable for response in responses] == [responses[0].comparable] * 18
    assert responses[0].is_problem(404, "not-found")
    assert all_rows() == before
    assert messages.waiting == []


def test_products_show_their_available_quantity(
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
def test_an_unknown_path_returns_404(storefront: Storefront, path: str) -> None:
    assert storefront.get(path).is_problem(404, "not-found")


def available(storefront: Storefront) -> dict[str, int]:
    """Return the listed products by SKU."""
    found = storefront.get("/api/v1/products").body["results"]
    return {product["sku"]: product["available"] for product in found}
