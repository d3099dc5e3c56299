"""Malformed reads: refused with a problem that reveals nothing."""

from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.support.storefront_client import ORDERS, Answer, Storefront, cart, everything

MUG = cart(("MUG", 1))
SUFFIXES = ("", "/timeline", "/events")
INSIDE = ("Traceback", "psycopg", "orders_order", "django", "SELECT", "/tmp")  # noqa: S108 - looked for


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
def test_an_id_that_is_none_leads_nowhere(storefront: Storefront, name: str, suffix: str) -> None:
    order_id = str(storefront.order(MUG).order_id)
    asked = name.format(order_id=order_id, upper=order_id.upper(), bare=order_id.replace("-", ""))

    answer = storefront.get(f"{ORDERS}/{asked}{suffix}")

    assert answer.is_problem(404, "not-found")
    assert [word for word in INSIDE if word in str(answer.body)] == []


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
def test_headers_that_make_no_sense_do_no_harm(
    storefront: Storefront, header: str, value: str, statuses: set[int]
) -> None:
    paths = [ORDERS, f"{ORDERS}/{storefront.order(MUG).order_id}", "/api/v1/products"]
    before = everything()

    answers = [storefront.send("GET", path, headers={header: value}) for path in paths]

    assert {answer.status for answer in answers} <= statuses
    assert everything() == before


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "POST"])
def test_what_can_be_read_cannot_be_written(storefront: Storefront, method: str) -> None:
    order_id = storefront.order(MUG).order_id
    before = everything()

    answers: list[Answer] = [
        storefront.send(method, f"{ORDERS}/{order_id}{suffix}", {"status": "confirmed"})
        for suffix in SUFFIXES
    ]

    assert [answer.is_problem(405, "method-not-allowed") for answer in answers] == [True] * 3
    assert everything() == before


def test_a_list_is_not_longer_for_who_asks_with_a_body(storefront: Storefront) -> None:
    storefront.order(MUG)

    answer = storefront.send("GET", ORDERS, {"page_size": 10**9, "customer": 1})

    assert (answer.status, len(answer.body["results"])) == (200, 1)


def test_what_placing_an_order_shows_needs_no_further_statement(storefront: Storefront) -> None:
    storefront.order(MUG)  # connections and caches are warm then

    with CaptureQueriesContext(connection) as captured:
        answer = storefront.order(MUG, key=uuid4().hex)

    control = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
    sent = [each["sql"] for each in captured if not each["sql"].startswith(control)]
    assert answer.body["created_at"] == answer.body["updated_at"]
    assert len(sent) == len(("who asks", "the key", "the prices", "all that is written"))


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("reference=%00", "Expected: letters, digits and ._:-, 64 at most"),
        ("page_size=1000000000", "Input should be less than or equal to 100"),
        ("page_size=1_0", "Write a whole number in digits"),
    ],
)
def test_what_a_parameter_may_be_is_said_in_words(
    storefront: Storefront, query: str, detail: str
) -> None:
    answer = storefront.get(f"{ORDERS}?{query}")

    assert answer.is_problem(400, "invalid-query")
    assert [each["detail"] for each in answer.body["errors"]] == [detail]


def test_a_number_of_any_length_is_too_large_and_no_more(storefront: Storefront) -> None:
    answer = storefront.get(f"{ORDERS}?page_size={'9' * 8000}")

    assert answer.is_problem(400, "invalid-query")
    assert answer.parameters == ["page_size"]
