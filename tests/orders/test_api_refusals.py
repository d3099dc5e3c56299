"""Refused orders: the problem names what is wrong, and nothing is written."""

import json
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from inventory.models import Product
from orders.models import Order
from tests.support.database import all_rows
from tests.support.in_memory_broker import MessageQueue
from tests.support.shop import Shelf
from tests.support.storefront_client import ORDERS, Storefront, cart

QUOTES = "/api/v1/quotes"
MUG = {"sku": "MUG", "quantity": 1}
CARD = "pm_card_visa"
GOOD = cart(("MUG", 1))


def line(**changes: Any) -> dict[str, Any]:
    """Return a valid body with one line, with ``changes`` to the line."""
    return {"items": [{**MUG, **changes}], "payment_method": CARD}


def paid_with(payment_method: object) -> dict[str, Any]:
    return {"items": [MUG], "payment_method": payment_method}


WRONG_FIELDS: dict[str, tuple[Any, list[str]]] = {
    "quantity zero": (line(quantity=0), ["/items/0/quantity"]),
    "quantity negative": (line(quantity=-1), ["/items/0/quantity"]),
    "quantity fractional": (line(quantity=1.5), ["/items/0/quantity"]),
    "quantity a whole number of floats": (line(quantity=1.0), ["/items/0/quantity"]),
    "quantity true": (line(quantity=True), ["/items/0/quantity"]),
    "quantity a text": (line(quantity="1"), ["/items/0/quantity"]),
    "quantity null": (line(quantity=None), ["/items/0/quantity"]),
    "quantity one too many": (line(quantity=10_000), ["/items/0/quantity"]),
    "quantity beyond 63 bits": (line(quantity=2**63), ["/items/0/quantity"]),
    "quantity astronomic": (line(quantity=10**300), ["/items/0/quantity"]),
    "quantity a number in a list": (line(quantity=[1]), ["/items/0/quantity"]),
    "quantity missing": (
        {"items": [{"sku": "MUG"}], "payment_method": CARD},
        ["/items/0/quantity"],
    ),
    "sku missing": ({"items": [{"quantity": 1}], "payment_method": CARD}, ["/items/0/sku"]),
    "sku unknown": (line(sku="CUP"), ["/items/0/sku"]),
    "sku withdrawn": (line(sku="FAX"), ["/items/0/sku"]),
    "sku in other letters": (line(sku="mug"), ["/items/0/sku"]),
    "sku empty": (line(sku=""), ["/items/0/sku"]),
    "sku a number": (line(sku=7), ["/items/0/sku"]),
    "sku with a line break": (line(sku="MUG\n"), ["/items/0/sku"]),
    "sku with a NUL byte": (line(sku="MUG\0"), ["/items/0/sku"]),
    "sku with a pair of surrogates": (line(sku="MUG\U0001f375"), ["/items/0/sku"]),
    "sku with an escaped backslash": (line(sku="MUG\\ud800"), ["/items/0/sku"]),
    "sku of 60 kilobytes": (line(sku="M" * 60_000), ["/items/0/sku"]),
    "sku of 65 characters": (line(sku="M" * 65), ["/items/0/sku"]),
    "cart empty": ({"items": [], "payment_method": CARD}, ["/items"]),
    "cart with 101 lines": ({"items": [MUG] * 101, "payment_method": CARD}, ["/items"]),
    "items missing": ({"payment_method": CARD}, ["/items"]),
    "items null": ({"items": None, "payment_method": CARD}, ["/items"]),
    "items an object": ({"items": {"0": MUG}, "payment_method": CARD}, ["/items"]),
    "item a text": ({"items": ["MUG"], "payment_method": CARD}, ["/items/0"]),
    "payment method missing": ({"items": [MUG]}, ["/payment_method"]),
    "payment method null": (paid_with(None), ["/payment_method"]),
    "payment method a number": (paid_with(4242424242424242), ["/payment_method"]),
    "payment method a card number": (paid_with("4242424242424242"), ["/payment_method"]),
    "payment method empty": (paid_with(""), ["/payment_method"]),
    "payment method of another kind": (paid_with("tok_visa"), ["/payment_method"]),
    "payment method with a space": (paid_with("pm_card visa"), ["/payment_method"]),
    "payment method with a line break": (paid_with(f"{CARD}\n"), ["/payment_method"]),
    "payment method with a NUL byte": (paid_with(f"{CARD}\0"), ["/payment_method"]),
    "payment method with a path": (paid_with("pm_/../refunds"), ["/payment_method"]),
    "payment method of 300 characters": (paid_with("pm_" + "x" * 297), ["/payment_method"]),
    **{
        f"{field} in the body": ({**GOOD, field: value}, [f"/{field}"])
        for field, value in {
            "price": 1,
            "total": 1,
            "total_minor": 1,
            "currency": "usd",
            "status": "confirmed",
            "user": 1,
            "customer": 1,
            "id": str(uuid4()),
        }.items()
    },
    "a prototype in the body": ({**GOOD, "__proto__": {"quantity": 1}}, ["/__proto__"]),
    "an odd name in the body": ({**GOOD, "a/b~c": 1}, ["/a~1b~0c"]),
    **{
        f"{field} in a line": (line(**{field: 1}), [f"/items/0/{field}"])
        for field in ("price", "unit_price_minor", "total", "currency", "status", "id")
    },
    "body a list": ([GOOD], [""]),
    "body a text": ("MUG", [""]),
    "body a number": (1, [""]),
    "body null": (None, [""]),
    "body empty": (b"", ["/items", "/payment_method"]),
    "body an empty object": ({}, ["/items", "/payment_method"]),
    "several at once": (
        {"items": [{"sku": "", "quantity": 0}, MUG, {"sku": "MUG", "quantity": 0}]},
        ["/items/0/sku", "/items/0/quantity", "/items/2/quantity", "/payment_method"],
    ),
    "several unknown": (
        {
            "items": [{"sku": "CUP", "quantity": 1}, MUG, {"sku": "FAX", "quantity": 1}],
            "payment_method": CARD,
        },
        ["/items/0/sku", "/items/2/sku"],
    ),
}

GOOD_TEXT = json.dumps(GOOD)

MALFORMED: dict[str, bytes] = {
    "cut off": GOOD_TEXT[:-1].encode(),
    "two values": f"{GOOD_TEXT} {GOOD_TEXT}".encode(),
    "no JSON": b"items=MUG&quantity=1",
    "a NUL byte": GOOD_TEXT.encode() + b"\0",
    "not UTF-8": GOOD_TEXT.replace("MUG", "M\xdcG").encode("latin-1"),
    "a byte order mark": GOOD_TEXT.encode("utf-8-sig"),
    "UTF-16": GOOD_TEXT.encode("utf-16"),
    "UTF-32": GOOD_TEXT.encode("utf-32-be"),
    "surrogates in UTF-8": GOOD_TEXT.replace("MUG", "\ud83c").encode(errors="surrogatepass"),
    "half a surrogate pair in a value": GOOD_TEXT.replace("MUG", "\\ud800").encode(),
    "the other half in a value": GOOD_TEXT.replace("MUG", "\\uDC00").encode(),
    "half a surrogate pair in a name": GOOD_TEXT.replace("items", "\\ud800").encode(),
    "NaN": GOOD_TEXT.replace("1", "NaN").encode(),
    "Infinity": GOOD_TEXT.replace("1", "Infinity").encode(),
    "minus Infinity": GOOD_TEXT.replace("1", "-Infinity").encode(),
    "a number of 5,000 digits": GOOD_TEXT.replace("1", "1" * 5000).encode(),
    "a key twice in the body": GOOD_TEXT[:-1].encode() + b', "payment_method": "pm_card_amex"}',
    "a key twice in a line": GOOD_TEXT.replace('{"sku"', '{"quantity": 2, "sku"').encode(),
    "lists in lists, 10,000 deep": b"[" * 10_000 + b"]" * 10_000,
    "objects in objects, 10,000 deep": b'{"":' * 10_000 + b"1" + b"}" * 10_000,
}


@pytest.fixture(autouse=True)
def withdrawn(shelf: Shelf) -> None:
    """A product with stock that is no longer for sale."""
    shelf.put("FAX", 5)
    Product.objects.filter(sku="FAX").update(is_withdrawn=True)


@pytest.mark.parametrize(("body", "pointers"), WRONG_FIELDS.values(), ids=WRONG_FIELDS.keys())
def test_a_wrong_field_is_named_and_nothing_is_written(
    storefront: Storefront, messages: MessageQueue, body: object, pointers: list[str]
) -> None:
    before = all_rows()

    response = storefront.order(body, key="the-same")

    assert response.is_problem(422, "invalid-request"), response.body
    assert response.pointers == pointers
    assert_untouched(before, messages)
    assert_key_is_usable(storefront)


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_body_is_refused(
    storefront: Storefront, messages: MessageQueue, body: bytes
) -> None:
    before = all_rows()

    response = storefront.order(body, key="the-same")

    assert response.is_problem(400, "malformed-request"), response.body
    assert response.pointers == []
    assert_untouched(before, messages)
    assert_key_is_usable(storefront)


@pytest.mark.parametrize(
    ("case", "detail"),
    [
        ("no JSON", "The body is not JSON in UTF-8."),
        ("not UTF-8", "The body is not JSON in UTF-8."),
        ("half a surrogate pair in a value", "A text has half of a surrogate pair."),
        ("a number of 5,000 digits", "A whole number has more than 4,300 digits."),
        ("lists in lists, 10,000 deep", "Lists and objects are nested too deeply to be read."),
        ("objects in objects, 10,000 deep", "Lists and objects are nested too deeply to be read."),
    ],
)
def test_a_malformed_body_gets_an_explanation(
    storefront: Storefront, case: str, detail: str
) -> None:
    assert storefront.order(MALFORMED[case]).body["detail"] == detail


@pytest.mark.parametrize(
    ("lines", "detail"), [(0, "At least 1 is required here"), (101, "At most 100 are allowed here")]
)
def test_a_cart_with_too_few_or_too_many_lines_gets_an_explanation(
    storefront: Storefront, lines: int, detail: str
) -> None:
    response = storefront.order({"items": [MUG] * lines, "payment_method": CARD})

    assert response.body["errors"] == [{"pointer": "/items", "detail": detail}]


def test_a_body_of_exactly_64_kilobytes_is_accepted(storefront: Storefront) -> None:
    assert storefront.order(GOOD_TEXT.encode().ljust(64 * 1024)).status == 202


def test_a_number_beyond_floats_is_refused(storefront: Storefront, messages: MessageQueue) -> None:
    before = all_rows()

    response = storefront.order(GOOD_TEXT.replace("1", "1e400").encode())

    assert response.is_problem(422, "invalid-request")
    assert response.pointers == ["/items/0/quantity"]
    assert_untouched(before, messages)


def test_a_response_names_at_most_fifty_wrong_fields(
    storefront: Storefront, messages: MessageQueue
) -> None:
    before = all_rows()

    response = storefront.order({**GOOD, **{f"f{number}": 1 for number in range(5000)}})

    assert response.is_problem(422, "invalid-request")
    assert response.pointers == [f"/f{number}" for number in range(50)]
    assert_untouched(before, messages)


def test_another_response_type_returns_406(storefront: Storefront, messages: MessageQueue) -> None:
    before = all_rows()

    response = storefront.order(GOOD, key="the-same", Accept="text/html")

    assert response.is_problem(406, "not-acceptable")
    assert_untouched(before, messages)
    assert_key_is_usable(storefront)


def test_a_cart_above_the_providers_maximum_is_refused(
    storefront: Storefront, shelf: Shelf, messages: MessageQueue
) -> None:
    shelf.put("YACHT", 5, price_minor=50_000_000)
    before = all_rows()

    response = storefront.order(cart(("MUG", 1), ("YACHT", 2)), key="the-same")

    assert response.is_problem(422, "invalid-request")
    assert response.pointers == ["/items"]
    assert_untouched(before, messages)
    assert_key_is_usable(storefront)


@pytest.mark.parametrize(("currency", "minimum_minor"), [("eur", 50), ("jpy", 50), ("huf", 17_500)])
def test_a_cart_below_the_providers_minimum_is_refused_with_the_minimum(
    storefront: Storefront,
    shelf: Shelf,
    messages: MessageQueue,
    settings: Settings,
    *,
    currency: str,
    minimum_minor: int,
) -> None:
    settings.CURRENCY = currency
    shelf.put("PIN", 5, price_minor=minimum_minor - 1)
    Product.objects.filter(sku="MUG").update(price_minor=minimum_minor)
    before = all_rows()

    responses = [
        storefront.order(cart(("PIN", 1)), key="the-same"),
        storefront.send("POST", QUOTES, {"items": cart(("PIN", 1))["items"]}),
    ]

    for response in responses:
        assert response.is_problem(422, "total-below-minimum")
        assert response.pointers == ["/items"]
        assert response.body["minimum_minor"] == minimum_minor
        assert response.body["total_minor"] == minimum_minor - 1
        assert response.body["currency"] == currency
    assert_untouched(before, messages)
    assert_key_is_usable(storefront)


def test_a_price_that_cannot_be_charged_is_refused(
    storefront: Storefront, shelf: Shelf, messages: MessageQueue, settings: Settings
) -> None:
    settings.CURRENCY = "bhd"
    shelf.put("PIN", 5, price_minor=1205)
    before = all_rows()

    responses = [
        storefront.order(cart(("MUG", 1), ("PIN", 2)), key="the-same"),
        storefront.send("POST", QUOTES, {"items": cart(("MUG", 1), ("PIN", 2))["items"]}),
    ]

    for response in responses:
        assert response.is_problem(422, "invalid-request")
        assert response.pointers == ["/items/1/sku"]
    assert_untouched(before, messages)
    assert_key_is_usable(storefront)


@pytest.mark.parametrize(
    ("currency", "largest"), [("isk", 999_999), ("mga", 9_999_999_900), ("idr", 999_999_999_999)]
)
def test_the_largest_total_depends_on_the_currency(
    storefront: Storefront, shelf: Shelf, settings: Settings, currency: str, largest: int
) -> None:
    settings.CURRENCY = currency
    shelf.put("YACHT", 5, price_minor=largest)

    accepted = storefront.order(cart(("YACHT", 1)))
    refused = storefront.order(cart(("YACHT", 2)))

    assert (accepted.status, accepted.body["total_minor"]) == (202, largest)
    assert refused.is_problem(422, "invalid-request")
    assert refused.pointers == ["/items"]


def test_a_cart_at_the_providers_maximum_is_accepted(storefront: Storefront, shelf: Shelf) -> None:
    shelf.put("YACHT", 5, price_minor=99_999_999)

    response = storefront.order(cart(("YACHT", 1)))

    assert (response.status, response.body["total_minor"]) == (202, 99_999_999)


@pytest.mark.parametrize(
    ("key", "slug"),
    [
        ("", "idempotency-key-missing"),
        ("   ", "idempotency-key-missing"),
        ('""', "idempotency-key-missing"),
        ("k" * 256, "idempotency-key-invalid"),
        ("clé", "idempotency-key-invalid"),
        ("ключ", "idempotency-key-invalid"),
        ("two words", "idempotency-key-invalid"),
        ("bell\a", "idempotency-key-invalid"),
    ],
    ids=["none", "blank", "empty quotes", "256", "Latin-1", "UTF-8", "a space", "a control"],
)
def test_an_order_needs_a_valid_idempotency_key(
    storefront: Storefront, messages: MessageQueue, key: str, slug: str
) -> None:
    before = all_rows()

    sent = key.encode().decode("latin-1")  # as a web server decodes headers
    response = storefront.send("POST", ORDERS, GOOD, {"Idempotency-Key": sent})

    assert response.is_problem(400, slug), response.body
    assert_untouched(before, messages)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_orders_are_only_placed_and_listed(
    storefront: Storefront, messages: MessageQueue, method: str
) -> None:
    before = all_rows()

    response = storefront.send(method, ORDERS, GOOD, {"Idempotency-Key": "the-same"})

    assert response.is_problem(405, "method-not-allowed")
    assert response.headers["Allow"] == "GET, POST, HEAD, OPTIONS"
    assert_untouched(before, messages)
    assert_key_is_usable(storefront)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_an_order_cannot_be_edited(
    storefront: Storefront, messages: MessageQueue, method: str
) -> None:
    order_id = storefront.order(GOOD).order_id
    messages.drop_all()
    before = all_rows()

    response = storefront.send(method, f"{ORDERS}/{order_id}", {"status": "confirmed"})

    assert response.is_problem(405, "method-not-allowed")
    assert_untouched(before, messages)


@pytest.mark.parametrize("body", [{"reason": "fraud"}, [1], "now"], ids=["field", "list", "text"])
def test_a_cancellation_has_no_fields(
    storefront: Storefront, messages: MessageQueue, body: object
) -> None:
    order_id = storefront.order(GOOD).order_id
    messages.drop_all()
    before = all_rows()

    headers = {"Idempotency-Key": "the-same"}
    response = storefront.send("POST", f"{ORDERS}/{order_id}/cancel", body, headers)

    assert response.is_problem(422, "invalid-request"), response.body
    assert_untouched(before, messages)


def test_a_cancellation_needs_an_idempotency_key(
    storefront: Storefront, messages: MessageQueue
) -> None:
    order_id = storefront.order(GOOD).order_id
    messages.drop_all()
    before = all_rows()

    response = storefront.send("POST", f"{ORDERS}/{order_id}/cancel")

    assert response.is_problem(400, "idempotency-key-missing")
    assert_untouched(before, messages)


AUTHORIZATIONS = {
    "none": "",
    "no token": "Bearer",
    "two tokens": "Bearer one two",
    "a wrong token": "Bearer " + "0" * 64,
    "a token that is not UTF-8": "Bearer \xff\xfe",
    "a token with a NUL byte": "Bearer a\0b",
    "another scheme": "Basic YWxpY2U6c2VjcmV0",
}


ENDPOINTS = (
    ("POST", ORDERS),
    ("GET", ORDERS),
    ("GET", f"{ORDERS}/{uuid4()}"),
    ("GET", f"{ORDERS}/{uuid4()}/timeline"),
    ("GET", f"{ORDERS}/{uuid4()}/events"),
    ("POST", f"{ORDERS}/{uuid4()}/cancel"),
    ("GET", "/api/v1/products"),
)


@pytest.mark.parametrize("authorization", AUTHORIZATIONS.values(), ids=AUTHORIZATIONS.keys())
def test_a_request_without_a_valid_token_returns_401(
    storefront: Storefront, messages: MessageQueue, authorization: str
) -> None:
    before = all_rows()

    headers = {"Idempotency-Key": "the-same", "Authorization": authorization}
    responses = [storefront.send(method, path, GOOD, headers) for method, path in ENDPOINTS]

    for response in responses:
        assert response.is_problem(401, "not-authenticated"), response.body
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert_untouched(before, messages)


def test_a_token_in_another_scheme_is_refused(storefront: Storefront) -> None:
    response = storefront.order(GOOD, Authorization=f"Token {storefront.token}")

    assert response.is_problem(401, "not-authenticated")


def test_a_deactivated_customer_is_refused(storefront: Storefront, messages: MessageQueue) -> None:
    User.objects.update(is_active=False)
    before = all_rows()

    response = storefront.order(GOOD)

    assert response.is_problem(401, "not-authenticated")
    assert_untouched(before, messages)


def assert_untouched(before: dict[str, list[str]], messages: MessageQueue) -> None:
    assert all_rows() == before
    assert messages.waiting == []


def assert_key_is_usable(storefront: Storefront) -> None:
    """Assert that a refused request has not used its key: the corrected request is executed."""
    response = storefront.order(GOOD, key="the-same")

    assert (response.status, response.is_replayed) == (202, False)
    assert Order.objects.get().pk == response.order_id


@pytest.mark.parametrize(
    ("change", "pointer", "text"),
    [
        ({"payment_method": "visa"}, "/payment_method", "such as pm_card_visa"),
        ({"expected_currency": "EUR"}, "/expected_currency", "three lower-case letters"),
        ({"reference": "a b"}, "/reference", "64 at most"),
        ({"items": [{"sku": "?", "quantity": 1}]}, "/items/0/sku", "a SKU has letters"),
        ({"items": [7]}, "/items/0", "An object is expected here"),
        ({"totl": 1}, "/totl", "Unknown field"),
    ],
)
def test_a_wrong_field_gets_an_explanation(
    storefront: Storefront, change: dict[str, object], pointer: str, text: str
) -> None:
    refused = storefront.order({**cart(("MUG", 1)), **change})

    assert refused.is_problem(422, "invalid-request")
    [error] = refused.body["errors"]
    assert error["pointer"] == pointer
    assert text in error["detail"]
