"""Carts of two lines, and carts from a file's baskets within the API's limit."""

import json
from itertools import islice

from benchmarks.carts import baskets, two_line_carts


def test_two_line_carts_are_the_same_every_time() -> None:
    first, second = two_line_carts(), two_line_carts()

    assert first == second
    assert {len(cart) for cart in first.carts} == {2}
    assert len(first.skus) == 100


def test_a_basket_is_a_cart_and_a_repeated_code_has_quantity_2() -> None:
    found = baskets(["85123A, 71053,85123A\n", "22632\n"])

    assert found.carts == [{"85123A": 2, "71053": 1}, {"22632": 1}]
    assert found.skus == ["22632", "71053", "85123A"]
    assert found.remarks == []


def test_a_basket_with_too_many_lines_becomes_several_orders() -> None:
    found = baskets([",".join(f"SKU{number}" for number in range(205))])

    assert [len(cart) for cart in found.carts] == [100, 100, 5]
    assert found.remarks == ["1 baskets of more than 100 lines were divided"]


def test_invalid_codes_are_left_out_and_counted() -> None:
    found = baskets(["BANK CHARGES,POST", "BANK CHARGES", "", "-x"])

    assert found.carts == [{"POST": 1}]
    assert found.remarks == [
        "3 lines whose code is no SKU were left out",
        "3 baskets without any line were left out",
    ]


def test_bodies_repeat_the_carts_without_end() -> None:
    bodies = [json.loads(body) for body in islice(baskets(["a", "b,b"]).bodies(), 3)]

    assert bodies == [
        {"items": [{"sku": "a", "quantity": 1}], "payment_method": "pm_card_visa"},
        {"items": [{"sku": "b", "quantity": 2}], "payment_method": "pm_card_visa"},
        {"items": [{"sku": "a", "quantity": 1}], "payment_method": "pm_card_visa"},
    ]
