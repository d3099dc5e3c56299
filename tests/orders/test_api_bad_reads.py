"""Malformed reads are refused with a problem that reveals no internals."""

from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.support.database import all_rows
from tests.support.storefront_client import ORDERS, ApiResponse, Storefront, cart

MUG = cart(("MUG", 1))
SUFFIXES = ("", "/timeline", "/events")
INTERNALS = ("Traceback", "psycopg", "orders_order", "django", "SELECT", "/tmp")  # noqa: S108 - looked for


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "name",
    [
        "0",
        "-1",
        "1e9",
        "null",
        "undefined",
        "[]",
        "%7B%7D",
        "%00",
        "%FF%FE",
        "%F0%9F%92%A5",
        "..%2F..%2Fetc%2Fpasswd",
        "{order_id}x",
        "{order_id}%20",
        "{order_id}%0A",
        "{{{order_id}}}",
        "{upper}",
        "{bare}",
        "urn:uuid:{order_id}",
        "{order_id}' OR '1'='1",
        "{order_id}.json",
        "9" * 5000,
    ],
)
def test_an_invalid_order_id_returns_404(storefront: Storefront, name: str, suffix: str) -> None:
    order_id = str(storefront.order(MUG).order_id)
    address = name.format(order_id=order_id, upper=order_id.upper(), bare=order_id.replace("-", ""))

    response = storefront.get(f"{ORDERS}/{address}{suffix}")

    assert response.is_problem(404, "not-found")
    assert [word for word in INTERNALS if word in str(response.body)] == []


@pytest.mark.parametrize(
    ("header", "value", "statuses"),
    [
        ("Accept", "text/html", {406}),
        ("Accept", "garbage", {406}),
        ("Accept", ";;;,,,/", {406}),
        ("Accept", "*/*;q=zero", {200}),
        ("Accept", "application/json; version=99", {200, 406}),
        ("Accept-Language", "\x7f" * 100, {200}),
        ("If-None-Match", '"' * 4000, {200}),
        ("If-Match", "*", {200}),
        ("If-Modified-Since", "yesterday", {200}),
        ("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT", {200}),
        ("Range", "bytes=0-1", {200}),
        ("Prefer", "wait=5", {200}),
        ("X-HTTP-Method-Override", "DELETE", {200}),
        ("Idempotency-Key", "k" * 5000, {200}),
        ("Content-Type", "multipart/form-data", {200}),
    ],
)
def test_malformed_headers_change_nothing(
    storefront: Storefront, header: str, value: str, statuses: set[int]
) -> None:
    paths = [ORDERS, f"{ORDERS}/{storefront.order(MUG).order_id}", "/api/v1/products"]
    before = all_rows()

    responses = [storefront.send("GET", path, headers={header: value}) for path in paths]

    assert {response.status for response in responses} <= statuses
    assert all_rows() == before


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "POST"])
def test_paths_for_reading_refuse_other_methods(storefront: Storefront, method: str) -> None:
    order_id = storefront.order(MUG).order_id
    before = all_rows()

    responses: list[ApiResponse] = [
        storefront.send(method, f"{ORDERS}/{order_id}{suffix}", {"status": "confirmed"})
        for suffix in SUFFIXES
    ]

    assert [response.is_problem(405, "method-not-allowed") for response in responses] == [True] * 3
    assert all_rows() == before


def test_a_body_does_not_change_the_list(storefront: Storefront) -> None:
    storefront.order(MUG)

    response = storefront.send("GET", ORDERS, {"page_size": 10**9, "customer": 1})

    assert (response.status, len(response.body["results"])) == (200, 1)


def test_placing_an_order_takes_four_statements(storefront: Storefront) -> None:
    storefront.order(MUG)  # warms connections and caches

    with CaptureQueriesContext(connection) as captured:
        response = storefront.order(MUG, key=uuid4().hex)

    control = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
    sent = [query["sql"] for query in captured if not query["sql"].startswith(control)]
    assert response.body["created_at"] == response.body["updated_at"]
    assert len(sent) == len(("the token", "the key", "the prices", "all writes"))


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("reference=%00", "Expected: letters, digits and ._:-, 64 at most"),
        ("page_size=1000000000", "Input should be less than or equal to 100"),
        ("page_size=1_0", "Write a whole number in digits"),
    ],
)
def test_a_wrong_parameter_gets_an_explanation(
    storefront: Storefront, query: str, detail: str
) -> None:
    response = storefront.get(f"{ORDERS}?{query}")

    assert response.is_problem(400, "invalid-query")
    assert [error["detail"] for error in response.body["errors"]] == [detail]


def test_a_very_long_number_is_an_invalid_query(storefront: Storefront) -> None:
    response = storefront.get(f"{ORDERS}?page_size={'9' * 8000}")

    assert response.is_problem(400, "invalid-query")
    assert response.parameters == ["page_size"]
