"""What is for sale, and the demo catalogue that fills an empty shop."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from inventory.demo_catalogue import ARTICLES
from inventory.models import Product, StockLevel, StockMovement, Warehouse
from inventory.services import ProductForSale, catalogue, products_for_sale
from tests.support.inventory_helpers import assert_shelves_are_right, basket, levels, put, reserve

pytestmark = pytest.mark.django_db


def test_what_is_for_sale_is_shown_by_sku_with_what_is_left_of_it() -> None:
    put("TEE", 3)
    put("MUG", 5, warehouse="near")
    put("MUG", 2, warehouse="far")
    put("FAX", 9)
    Product.objects.filter(sku="FAX").update(is_withdrawn=True)
    Product.objects.create(sku="CUP", name="Cup", price_minor=700)
    reserve(basket(("MUG", 4)))

    assert catalogue() == [
        ProductForSale("CUP", "Cup", 700, "eur", 0),
        ProductForSale("MUG", "MUG", 100, "eur", 3),
        ProductForSale("TEE", "TEE", 100, "eur", 3),
    ]


def test_products_are_found_by_sku_unless_they_are_withdrawn() -> None:
    put("MUG", 5)
    put("FAX", 9)
    Product.objects.filter(sku="FAX").update(is_withdrawn=True)

    assert products_for_sale(["MUG", "FAX", "CUP"]) == {"MUG": Product.objects.get(sku="MUG")}


def test_an_empty_shop_is_filled() -> None:
    told = load_catalogue()

    assert told == [{"sku": each.sku, "new": True, "came_in": 0} for each in ARTICLES]
    assert levels() == {f"{each.sku}@main": (each.stock, 0) for each in ARTICLES}
    assert list(Product.objects.order_by("pk").values_list("sku", "name", "price_minor")) == [
        (each.sku, each.name, each.price_minor) for each in ARTICLES
    ]
    assert_shelves_are_right()


def test_loading_again_keeps_what_the_shop_has_made_of_it() -> None:
    load_catalogue()
    Product.objects.filter(sku="MUG-BLUE").update(price_minor=9999, is_withdrawn=True)
    reserve(basket(("MUG-RED", 7)))
    before = [
        list(model._default_manager.order_by("pk").values_list())
        for model in (Product, Warehouse, StockLevel, StockMovement)
    ]

    told = load_catalogue()

    assert told == [{"sku": each.sku, "new": False, "came_in": 0} for each in ARTICLES]
    assert before == [
        list(model._default_manager.order_by("pk").values_list())
        for model in (Product, Warehouse, StockLevel, StockMovement)
    ]


def test_a_product_that_was_there_before_gets_no_stock() -> None:
    put("MUG-BLUE", 1)

    load_catalogue()

    assert levels()["MUG-BLUE@main"] == (1, 0)


def test_a_refill_brings_back_what_has_sunk_below_half_and_is_a_movement() -> None:
    load_catalogue()
    reserve(basket(("MUG-RED", 501), ("MUG-BLUE", 499), ("LAMP-LAST", 5)))

    told = load_catalogue(refill=True)

    came_in = {each["sku"]: each["came_in"] for each in told if each["came_in"]}
    assert came_in == {"MUG-RED": 501, "LAMP-LAST": 5}
    assert levels()["MUG-RED@main"] == (1501, 501)
    assert levels()["MUG-BLUE@main"] == (1000, 499)
    assert StockMovement.objects.filter(note="demo catalogue: refilled").count() == 2
    assert_shelves_are_right()
    assert [each["came_in"] for each in load_catalogue(refill=True)] == [0] * len(ARTICLES)


def test_prices_that_cannot_be_charged_are_not_loaded(settings: Settings) -> None:
    settings.CURRENCY = "mga"

    with pytest.raises(CommandError, match=r"^MUG-BLUE: Stripe charges only multiples of 1.00 MGA"):
        load_catalogue()

    assert not Product.objects.exists()
    assert not Warehouse.objects.exists()


def load_catalogue(*, refill: bool = False) -> list[dict[str, Any]]:
    """Run the command, and return what it told, line by line."""
    out = StringIO()
    call_command("load_catalogue", refill=refill, stdout=out)
    return [json.loads(line) for line in out.getvalue().splitlines()]
