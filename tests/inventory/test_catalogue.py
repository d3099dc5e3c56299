"""What is for sale, and the demo catalogue that fills an empty shop."""

import json
from io import StringIO

import pytest
from django.core.management import call_command

from inventory.demo_catalogue import ARTICLES
from inventory.models import Product, StockLevel, StockMovement, Warehouse
from inventory.services import ProductForSale, catalogue, products_for_sale
from tests.inventory.stockroom import assert_shelves_are_right, basket, levels, put, reserve

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

    assert told == [{"sku": each.sku, "new": True} for each in ARTICLES]
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

    assert told == [{"sku": each.sku, "new": False} for each in ARTICLES]
    assert before == [
        list(model._default_manager.order_by("pk").values_list())
        for model in (Product, Warehouse, StockLevel, StockMovement)
    ]


def test_a_product_that_was_there_before_gets_no_stock() -> None:
    put("MUG-BLUE", 1)

    load_catalogue()

    assert levels()["MUG-BLUE@main"] == (1, 0)


def load_catalogue() -> list[object]:
    """Run the command, and return what it told, line by line."""
    out = StringIO()
    call_command("load_catalogue", stdout=out)
    return [json.loads(line) for line in out.getvalue().splitlines()]
