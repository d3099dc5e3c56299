"""The products for sale, and the demo catalogue that fills an empty shop."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from inventory.demo_catalogue import ARTICLES
from inventory.models import Product, StockLevel, StockMovement, Warehouse
from inventory.services import ProductForSale, catalogue, products_for_sale
from tests.support.inventory_helpers import add_stock, assert_stock_adds_up, basket, levels, reserve

pytestmark = pytest.mark.django_db


def test_the_catalogue_lists_products_by_sku_with_available_quantities() -> None:
    add_stock("TEE", 3)
    add_stock("MUG", 5, warehouse="near")
    add_stock("MUG", 2, warehouse="far")
    add_stock("FAX", 9)
    Product.objects.filter(sku="FAX").update(is_withdrawn=True)
    Product.objects.create(sku="CUP", name="Cup", price_minor=700)
    reserve(basket(("MUG", 4)))

    assert catalogue() == [
        ProductForSale("CUP", "Cup", 700, "eur", 0),
        ProductForSale("MUG", "Mug", 100, "eur", 3),
        ProductForSale("TEE", "Tee", 100, "eur", 3),
    ]


def test_withdrawn_products_are_not_for_sale() -> None:
    add_stock("MUG", 5)
    add_stock("FAX", 9)
    Product.objects.filter(sku="FAX").update(is_withdrawn=True)

    assert products_for_sale(["MUG", "FAX", "CUP"]) == {"MUG": Product.objects.get(sku="MUG")}


def test_loading_fills_an_empty_shop() -> None:
    printed = load_catalogue()

    assert printed == [{"sku": article.sku, "new": True, "came_in": 0} for article in ARTICLES]
    assert levels() == {f"{article.sku}@main": (article.stock, 0) for article in ARTICLES}
    assert list(Product.objects.order_by("pk").values_list("sku", "name", "price_minor")) == [
        (article.sku, article.name, article.price_minor) for article in ARTICLES
    ]
    assert_stock_adds_up()


def test_loading_again_changes_no_existing_product() -> None:
    load_catalogue()
    Product.objects.filter(sku="MUG-BLUE").update(price_minor=9999, is_withdrawn=True)
    reserve(basket(("MUG-RED", 7)))
    before = [
        list(model._default_manager.order_by("pk").values_list())
        for model in (Product, Warehouse, StockLevel, StockMovement)
    ]

    printed = load_catalogue()

    assert printed == [{"sku": article.sku, "new": False, "came_in": 0} for article in ARTICLES]
    assert before == [
        list(model._default_manager.order_by("pk").values_list())
        for model in (Product, Warehouse, StockLevel, StockMovement)
    ]


def test_an_existing_product_gets_no_stock() -> None:
    add_stock("MUG-BLUE", 1)

    load_catalogue()

    assert levels()["MUG-BLUE@main"] == (1, 0)


def test_a_refill_receives_products_below_half_of_their_stock() -> None:
    load_catalogue()
    reserve(basket(("MUG-RED", 501), ("MUG-BLUE", 499), ("LAMP-LAST", 5)))

    printed = load_catalogue(refill=True)

    came_in = {line["sku"]: line["came_in"] for line in printed if line["came_in"]}
    assert came_in == {"MUG-RED": 501, "LAMP-LAST": 5}
    assert levels()["MUG-RED@main"] == (1501, 501)
    assert levels()["MUG-BLUE@main"] == (1000, 499)
    assert StockMovement.objects.filter(note="demo catalogue: refilled").count() == 2
    assert_stock_adds_up()
    assert [line["came_in"] for line in load_catalogue(refill=True)] == [0] * len(ARTICLES)


def test_prices_that_cannot_be_charged_are_refused(settings: Settings) -> None:
    settings.CURRENCY = "mga"

    with pytest.raises(CommandError, match=r"^MUG-BLUE: Stripe charges only multiples of 1.00 MGA"):
        load_catalogue()

    assert not Product.objects.exists()
    assert not Warehouse.objects.exists()


def load_catalogue(*, refill: bool = False) -> list[dict[str, Any]]:
    """Run the command, and return its output, line by line."""
    out = StringIO()
    call_command("load_catalogue", refill=refill, stdout=out)
    return [json.loads(line) for line in out.getvalue().splitlines()]
