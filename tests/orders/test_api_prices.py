"""Quotes, and orders with an expected price."""

from typing import Any

import pytest
from pytest_django import Settings

from inventory.models import Product
from payments.provider_types import ChargeLimits
from tests.support.database import all_rows
from tests.support.in_memory_broker import MessageQueue
from tests.support.in_memory_provider import provider as in_memory
from tests.support.shop import Shelf
from tests.support.storefront_client import ApiResponse, Storefront, cart

CART = cart(("MUG", 2), ("TEE", 1))
QUOTES = "/api/v1/quotes"


@pytest.mark.parametrize(
    "expected",
    [
        {"expected_total_minor": 4500},
        {"expected_total_minor": 4500, "expected_currency": "eur"},
        {"expected_currency": "eur"},
        {"expected_total_minor": None, "expected_currency": None},
    ],
)
def test_an_order_at_the_expected_price_is_placed(
    storefront: Storefront, expected: dict[str, Any]
) -> None:
    response = storefront.order({**CART, **expected})

    assert (response.status, response.body["total_minor"]) == (202, 4500)


@pytest.mark.parametrize(
    "expected",
    [
        {"expected_total_minor": 4499},
        {"expected_total_minor": 4501, "expected_currency": "eur"},
        {"expected_total_minor": 0},
        {"expected_total_minor": 2**53 - 1},
        {"expected_total_minor": 4500, "expected_currency": "usd"},
        {"expected_currency": "usd"},
    ],
)
def test_an_order_at_another_price_is_refused(
    storefront: Storefront, messages: MessageQueue, expected: dict[str, Any]
) -> None:
    before = all_rows()

    response = storefront.order({**CART, **expected}, key="once")

    assert response.is_problem(409, "price-changed")
    assert response.body["expected"] == expected
    assert (response.body["total_minor"], response.body["currency"]) == (4500, "eur")
    assert response.body["items"] == [
        {"sku": "MUG", "quantity": 2, "unit_price_minor": 1000},
        {"sku": "TEE", "quantity": 1, "unit_price_minor": 2500},
    ]
    assert all_rows() == before
    assert messages.waiting == []
    assert storefront.order(CART, key="once").status == 202


def test_a_price_change_between_quote_and_order_is_refused(
    storefront: Storefront, messages: MessageQueue
) -> None:
    quoted = request_quote(storefront, ("MUG", 1)).body["total_minor"]
    Product.objects.filter(sku="MUG").update(price_minor=1001)

    response = storefront.order({**cart(("MUG", 1)), "expected_total_minor": quoted})

    assert response.is_problem(409, "price-changed")
    assert (response.body["expected"]["expected_total_minor"], response.body["total_minor"]) == (
        1000,
        1001,
    )
    assert messages.waiting == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("expected_total_minor", -1),
        ("expected_total_minor", 2**53),
        ("expected_total_minor", 10**300),
        ("expected_total_minor", 4500.0),
        ("expected_total_minor", "4500"),
        ("expected_total_minor", True),
        ("expected_currency", "EUR"),
        ("expected_currency", "euro"),
        ("expected_currency", ""),
        ("expected_currency", 978),
    ],
)
def test_an_invalid_expectation_is_refused(
    storefront: Storefront, messages: MessageQueue, field: str, value: object
) -> None:
    before = all_rows()

    response = storefront.order({**CART, field: value})

    assert response.is_problem(422, "invalid-request")
    assert response.pointers == [f"/{field}"]
    assert all_rows() == before


def test_a_quote_returns_prices_and_reserves_nothing(
    storefront: Storefront, messages: MessageQueue
) -> None:
    before = all_rows()

    response = request_quote(storefront, ("MUG", 1), ("TEE", 1), ("MUG", 1))

    assert response.status == 200
    assert response.body.pop("quoted_at").endswith("Z")
    assert response.body == {
        "items": [
            quoted("MUG", 2, 1000, available=True, most=5),
            quoted("TEE", 1, 2500, available=True, most=5),
        ],
        "total_minor": 4500,
        "currency": "eur",
        "available": True,
    }
    assert all_rows() == before
    assert messages.waiting == []


def test_an_order_costs_what_its_quote_says(storefront: Storefront) -> None:
    quote = request_quote(storefront, ("MUG", 2), ("TEE", 1)).body

    order = storefront.order(
        {
            **CART,
            "expected_total_minor": quote["total_minor"],
            "expected_currency": quote["currency"],
        }
    )

    assert (order.status, order.body["total_minor"]) == (202, quote["total_minor"])


def test_a_quote_shows_which_line_is_short(storefront: Storefront) -> None:
    response = request_quote(storefront, ("MUG", 6), ("TEE", 5))

    assert response.body["items"] == [
        quoted("MUG", 6, 1000, available=False, most=5),
        quoted("TEE", 5, 2500, available=True, most=5),
    ]
    assert response.body["available"] is False


def test_stock_reserved_by_others_is_not_available(
    storefront: Storefront, messages: MessageQueue
) -> None:
    storefront.order(cart(("MUG", 3)))
    messages.deliver(messages.take())

    response = request_quote(storefront, ("MUG", 3))

    assert response.body["items"] == [quoted("MUG", 3, 1000, available=False, most=2)]


def test_a_quote_counts_one_warehouse_only(
    storefront: Storefront, shelf: Shelf, messages: MessageQueue
) -> None:
    Shelf("second").put("MUG", 4)

    fits, too_many = request_quote(storefront, ("MUG", 5)), request_quote(storefront, ("MUG", 6))
    order = storefront.order(cart(("MUG", 6)))
    messages.deliver_all()

    assert fits.body["items"] == [quoted("MUG", 5, 1000, available=True, most=5)]
    assert too_many.body["items"] == [quoted("MUG", 6, 1000, available=False, most=5)]
    assert storefront.get(order.headers["Location"]).body["reason_code"] == "out_of_stock"


def test_a_product_without_stock_is_not_available(storefront: Storefront) -> None:
    Product.objects.create(sku="NEW", name="New", price_minor=100)

    response = request_quote(storefront, ("NEW", 1))

    assert response.body["items"] == [quoted("NEW", 1, 100, available=False, most=0)]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"items": []}, ["/items"]),
        ({"items": [{"sku": "MUG", "quantity": 0}]}, ["/items/0/quantity"]),
        ({"items": [{"sku": "CUP", "quantity": 1}]}, ["/items/0/sku"]),
        ({"items": [{"sku": "MUG", "quantity": 1}], "payment_method": "x"}, ["/payment_method"]),
        ({"items": [{"sku": "YACHT", "quantity": 2}]}, ["/items"]),
        ({}, ["/items"]),
    ],
)
def test_a_cart_that_cannot_be_ordered_is_not_quoted(
    storefront: Storefront, shelf: Shelf, body: object, pointers: list[str]
) -> None:
    shelf.put("YACHT", 5, price_minor=50_000_000)

    response = storefront.send("POST", QUOTES, body)

    assert response.is_problem(422, "invalid-request")
    assert response.pointers == pointers


def test_a_quote_ignores_the_idempotency_key(storefront: Storefront) -> None:
    body = {"items": [{"sku": "MUG", "quantity": 1}]}
    storefront.order(cart(("MUG", 1)), key="once")

    response = storefront.send("POST", QUOTES, body, {"Idempotency-Key": "once"})

    assert (response.status, response.is_replayed) == (200, False)


def request_quote(storefront: Storefront, *items: tuple[str, int]) -> ApiResponse:
    return storefront.send("POST", QUOTES, {"items": cart(*items)["items"]})


def quoted(
    sku: str, quantity: int, price_minor: int, *, available: bool, most: int
) -> dict[str, Any]:
    return {
        "sku": sku,
        "name": sku.title(),
        "quantity": quantity,
        "unit_price_minor": price_minor,
        "line_total_minor": quantity * price_minor,
        "available": available,
        "available_quantity": most,
    }


def test_an_order_has_the_minimum_of_its_methods_provider_and_a_quote_the_lowest(
    storefront: Storefront, shelf: Shelf, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PAYMENT_PROVIDERS = ["payments.providers.stripe", "tests.support.in_memory_provider"]
    monkeypatch.setattr(in_memory, "LIMITS", ChargeLimits(100, 5_000, 1))
    shelf.put("PIN", 5, price_minor=60)
    pin = ("PIN", 1)

    refused = storefront.order(cart(pin, payment_method=in_memory.CARD))
    accepted = storefront.order(cart(pin))
    quoted = storefront.send("POST", QUOTES, {"items": cart(pin)["items"]})

    assert refused.is_problem(422, "total-below-minimum")
    assert refused.body["minimum_minor"] == 100
    assert (accepted.status, accepted.body["total_minor"]) == (202, 60)
    assert (quoted.status, quoted.body["total_minor"]) == (200, 60)
