"""The product list, page by page."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from inventory.models import Product
from tests.support.shop import Shelf
from tests.support.storefront_client import ORDERS, ApiResponse, Storefront, cart

PRODUCTS = "/api/v1/products"


def skus(response: ApiResponse) -> list[str]:
    return [product["sku"] for product in response.body["results"]]


def pages_from(storefront: Storefront, path: str) -> list[ApiResponse]:
    pages = [storefront.get(path)]
    while pages[-1].body["next"]:
        pages.append(storefront.get(pages[-1].body["next"]))
    return pages


def test_pages_reach_every_product_once_by_sku(storefront: Storefront, shelf: Shelf) -> None:
    for sku in ("PEN", "BAG", "a.b", "A-1", "A_1"):
        shelf.put(sku, 7)

    pages = pages_from(storefront, f"{PRODUCTS}?page_size=3")

    everything = skus(storefront.get(PRODUCTS))
    assert [len(skus(page)) for page in pages] == [3, 3, 1]
    assert [sku for page in pages for sku in skus(page)] == everything
    assert everything == list(Product.objects.order_by("sku").values_list("sku", flat=True))


def test_a_full_last_page_has_no_next_page(storefront: Storefront) -> None:
    response = storefront.get(f"{PRODUCTS}?page_size=2")

    assert (skus(response), response.body["next"]) == (["MUG", "TEE"], None)
    assert "Link" not in response.headers


def test_the_link_header_has_the_next_page(storefront: Storefront) -> None:
    first = storefront.get(f"{PRODUCTS}?page_size=1")

    assert first.headers["Link"] == f'<{first.body["next"]}>; rel="next"'
    assert first.body["next"].startswith(f"http://testserver{PRODUCTS}?page_size=1&cursor=")


def test_a_page_has_a_hundred_products_by_default(storefront: Storefront, shelf: Shelf) -> None:
    for number in range(100):
        shelf.put(f"BOOK-{number}", 1)

    pages = pages_from(storefront, PRODUCTS)

    assert [len(skus(page)) for page in pages] == [100, 2]


def test_new_and_withdrawn_products_do_not_shift_pages(
    storefront: Storefront, shelf: Shelf
) -> None:
    shelf.put("PEN", 1)
    first = storefront.get(f"{PRODUCTS}?page_size=1")
    shelf.put("BAG", 1)
    Product.objects.filter(sku__in=["MUG", "PEN"]).update(is_withdrawn=True)

    second = storefront.get(first.body["next"])

    assert (skus(first), skus(second)) == (["MUG"], ["TEE"])


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        *((f"page_size={size}", "page_size") for size in ("0", "101", "-1", "1e1", "")),
        *((f"cursor={text}", "cursor") for text in ("", "MUG", "IlRFRSI", "A" * 600, "%00")),
        ("page=2", "page"),
        ("cursor=a&cursor=b", "cursor"),
    ],
)
def test_an_invalid_parameter_is_refused_by_name(
    storefront: Storefront, query: str, parameter: str
) -> None:
    response = storefront.get(f"{PRODUCTS}?{query}")

    assert response.is_problem(400, "invalid-query")
    assert response.parameters == [parameter]


def test_a_cursor_of_orders_is_refused_for_products(storefront: Storefront) -> None:
    for _ in range(2):
        storefront.order(cart(("MUG", 1)))
    following = storefront.get(f"{ORDERS}?page_size=1").body["next"]

    response = storefront.get(following.replace(ORDERS, PRODUCTS))

    assert response.is_problem(400, "invalid-query")
    assert response.parameters == ["cursor"]


def test_a_page_reads_one_product_more_than_it_shows(storefront: Storefront, shelf: Shelf) -> None:
    for number in range(50):
        shelf.put(f"BOOK-{number:02}", 1)

    with CaptureQueriesContext(connection) as captured:
        storefront.get(f"{PRODUCTS}?page_size=5")
    with connection.cursor() as cursor:
        cursor.execute("SET enable_sort = off")  # sorting is cheaper for only fifty rows
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {captured[-1]['sql']}")
        [[[found]]] = cursor.fetchall()
        cursor.execute("RESET enable_sort")

    assert len(captured) == len(("the token", "the page"))
    assert not any(re.search(r"count\(", query["sql"], re.IGNORECASE) for query in captured)
    assert products_read(found["Plan"]) == 6


def products_read(plan: dict[str, Any]) -> int:
    own = plan["Actual Rows"] if plan.get("Relation Name") == "inventory_product" else 0
    return int(own) + sum(products_read(child) for child in plan.get("Plans", []))
