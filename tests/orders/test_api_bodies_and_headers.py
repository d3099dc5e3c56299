"""No body length, charset or header causes a 500."""

from collections.abc import Mapping
from io import BytesIO
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from orders.api.http.body_limits import BodyLimitMiddleware
from orders.models import Order
from tests.support.database import all_rows
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import ORDERS, ApiResponse, Storefront, cart

GOOD = cart(("MUG", 1))
JSON = "application/json"


class Untouchable(BytesIO):
    """A body that must not be read."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise AssertionError("the body was read")


def test_a_body_that_is_too_long_is_refused_without_reading_it() -> None:
    request = RequestFactory().generic("POST", ORDERS, content_type=JSON)
    request.META |= {"CONTENT_LENGTH": "10485760", "wsgi.input": Untouchable()}

    response = refused_by_middleware(request)

    assert response.is_problem(413, "body-too-large")


def test_a_chunked_body_is_read_up_to_the_limit() -> None:
    sent = BytesIO(b"x" * 10_000_000)
    request = RequestFactory().generic("POST", ORDERS, content_type=JSON)
    request.META |= {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": sent}

    response = refused_by_middleware(request)

    assert response.is_problem(413, "body-too-large")
    assert sent.tell() == 64 * 1024 + 1


def test_a_chunked_body_is_joined() -> None:
    request = RequestFactory().generic("POST", ORDERS, content_type=JSON)
    request.META |= {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": BytesIO(b"[1]")}

    response = ApiResponse(BodyLimitMiddleware(lambda seen: HttpResponse(seen.body))(request))

    assert response.raw == b"[1]"
    assert request.META["CONTENT_LENGTH"] == "3"


def test_one_byte_above_the_limit_is_refused(
    storefront: Storefront, messages: MessageQueue
) -> None:
    before = all_rows()

    response = storefront.order(b" " * (64 * 1024 + 1))

    assert response.is_problem(413, "body-too-large")
    assert_untouched(before, messages)


def test_the_limit_applies_to_the_api_only(storefront: Storefront) -> None:
    response = storefront.send("POST", "/no-such-page", b"x" * 70_000)

    assert response.is_problem(404, "not-found")


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "text/json",
        "application/jsonp",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "application/json, application/json",
        "application",
        "/",
        ";",
        "application/json" * 1000,
    ],
)
def test_a_body_of_another_type_is_refused(
    storefront: Storefront, messages: MessageQueue, content_type: str
) -> None:
    before = all_rows()

    response = storefront.send(
        "POST", ORDERS, GOOD, {"Idempotency-Key": "once"}, content_type=content_type
    )

    assert response.is_problem(415, "unsupported-media-type"), response.body
    assert response.body["detail"] == "Send the body as application/json in UTF-8."
    assert_untouched(before, messages)


@pytest.mark.parametrize(
    "content_type", [JSON, "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"]
)
def test_every_spelling_of_the_json_content_type_is_accepted(
    storefront: Storefront, content_type: str
) -> None:
    headers = {"Idempotency-Key": "once"}

    response = storefront.send("POST", ORDERS, GOOD, headers, content_type=content_type)

    assert response.status == 202


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "deflate, gzip", "identity, gzip", ""])
def test_a_compressed_body_is_refused(
    storefront: Storefront, messages: MessageQueue, encoding: str
) -> None:
    before = all_rows()

    response = storefront.order(GOOD, **{"Content-Encoding": encoding or " "})

    assert response.is_problem(415, "unsupported-media-type")
    assert response.headers["Accept-Encoding"] == "identity"
    assert_untouched(before, messages)


ODD_HEADERS: Mapping[str, Mapping[str, str]] = {
    "two keys": {"Idempotency-Key": "one,two"},
    "half of a quoted key": {"Idempotency-Key": '"once'},
    "a quoted key in quotes": {"Idempotency-Key": '""once""'},
    "a key of 10,000 characters": {"Idempotency-Key": "k" * 10_000},
    "a key that would break a line": {"Idempotency-Key": "k\x0bk"},
}


@pytest.mark.parametrize("headers", ODD_HEADERS.values(), ids=ODD_HEADERS.keys())
def test_an_invalid_idempotency_key_is_refused(
    storefront: Storefront, messages: MessageQueue, headers: Mapping[str, str]
) -> None:
    before = all_rows()

    response = storefront.send("POST", ORDERS, GOOD, headers)

    assert response.is_problem(400, "idempotency-key-invalid")
    assert response.body["errors"][0]["header"] == "Idempotency-Key"
    assert_untouched(before, messages)


def test_several_idempotency_keys_have_their_own_error(storefront: Storefront) -> None:
    """Servers join headers of the same name with a comma."""
    response = storefront.send("POST", ORDERS, GOOD, {"Idempotency-Key": "one,two"})

    assert response.body["detail"].startswith("There is more than one Idempotency-Key")
    assert response.body["errors"][0]["detail"] == "is more than one"


HARMLESS_HEADERS: Mapping[str, Mapping[str, str]] = {
    "a method by header": {"X-HTTP-Method-Override": "DELETE"},
    "an unknown preference": {"Prefer": "respond-async; wait=x, handling=strict"},
    "a negative wait": {"Prefer": "wait=-1"},
    "a malformed cookie": {"Cookie": "sessionid=\xff; ;=;"},
    "a forwarded address": {"X-Forwarded-For": "' OR 1=1 --", "X-Forwarded-Host": "evil.example"},
    "another page": {"Referer": "javascript:alert(1)", "Origin": "null"},
    "a language of 5,000 characters": {"Accept-Language": "x" * 5_000},
    "a template": {"User-Agent": "{{7*7}}${7*7}\r\n<script>"},
    "a range": {"Range": "bytes=0-1"},
    "conditions": {"If-Match": "*, ,\x00", "If-Modified-Since": "32 Foo 0000"},
}


@pytest.mark.parametrize("headers", HARMLESS_HEADERS.values(), ids=HARMLESS_HEADERS.keys())
def test_headers_that_no_endpoint_reads_change_nothing(
    storefront: Storefront, headers: Mapping[str, str]
) -> None:
    response = storefront.order(GOOD, **headers)

    assert response.status == 202
    assert Order.objects.get().pk == response.order_id


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "x", ";", "/", ",", "\xff"])
def test_a_media_type_that_is_not_available_returns_406(
    storefront: Storefront, messages: MessageQueue, accept: str
) -> None:
    before = all_rows()

    response = storefront.order(GOOD, Accept=accept)

    assert response.is_problem(406, "not-acceptable")
    assert_untouched(before, messages)


@pytest.mark.parametrize("accept", ["*/*", "application/*", "application/json; q=0.1, text/html"])
def test_json_is_returned_if_it_is_among_the_accepted_types(
    storefront: Storefront, accept: str
) -> None:
    assert storefront.order(GOOD, Accept=accept).status == 202


def test_responses_are_not_stored_in_shared_caches(storefront: Storefront) -> None:
    responses = [
        storefront.order(GOOD),
        storefront.get("/api/v1/products"),
        storefront.get(f"{ORDERS}/{uuid4()}"),
        storefront.get("/api/v1/no-such"),
        storefront.order(b"{"),
    ]

    for response in responses:
        # A response with an ETag may be cached by the client, which must revalidate it.
        expected = "private, no-cache" if "ETag" in response.headers else "no-store"
        assert response.headers["Cache-Control"] == expected
        assert response.headers["X-Content-Type-Options"] == "nosniff"


def refused_by_middleware(request: object) -> ApiResponse:
    """Return the response of the middleware, which must not pass the request on."""

    def never(_: object) -> None:
        raise AssertionError("the request was passed on")

    return ApiResponse(BodyLimitMiddleware(never)(request))  # type: ignore[arg-type]


def assert_untouched(before: object, messages: MessageQueue) -> None:
    assert all_rows() == before
    assert messages.waiting == []
