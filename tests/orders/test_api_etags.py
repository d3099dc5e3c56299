"""ETags: 304 while nothing has changed, and a new one after each change."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orders.models import Order
from sandbox.stripe_process import SandboxServer
from tests.support.in_memory_broker import MessageQueue
from tests.support.shop import Shelf
from tests.support.storefront_client import ORDERS, ApiResponse, Storefront, cart

MUG = cart(("MUG", 1))
PRODUCTS = "/api/v1/products"


@pytest.fixture(params=["order", "expanded", "list", "timeline", "products"])
def path(request: pytest.FixtureRequest, storefront: Storefront) -> str:
    order = f"{ORDERS}/{storefront.order(MUG).order_id}"
    paths = {
        "order": order,
        "expanded": f"{order}?expand=timeline,payments",
        "list": ORDERS,
        "timeline": f"{order}/timeline",
        "products": PRODUCTS,
    }
    return paths[str(request.param)]


def test_an_unchanged_resource_returns_304(storefront: Storefront, path: str) -> None:
    first = storefront.get(path)
    again = get_if_none_match(storefront, path, first.headers["ETag"])

    assert first.headers["ETag"].startswith('"')
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert first.headers["Vary"] == "Authorization"
    assert (again.status, again.body) == (304, None)
    for header in ("ETag", "Cache-Control", "Vary"):
        assert again.headers[header] == first.headers[header]


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ('"another", {etag}', 304),
        ("W/{etag}", 304),
        ("*", 304),
        ('"another"', 200),
        ("no quotes", 200),
        ('"', 200),
        ("\x00é", 200),
    ],
)
def test_if_none_match_follows_http(storefront: Storefront, header: str, status: int) -> None:
    etag = storefront.get(PRODUCTS).headers["ETag"]

    assert get_if_none_match(storefront, PRODUCTS, header.format(etag=etag)).status == status


def test_a_different_if_match_returns_412(storefront: Storefront) -> None:
    etag = storefront.get(PRODUCTS).headers["ETag"]

    assert storefront.send("GET", PRODUCTS, headers={"If-Match": etag}).status == 200
    refused = storefront.send("GET", PRODUCTS, headers={"If-Match": '"another"'})
    assert refused.is_problem(412, "precondition-failed")


def test_the_etag_of_an_order_changes_with_its_content(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    path = f"{ORDERS}/{storefront.order(MUG).order_id}"
    seen = [storefront.get(path)]
    while messages.waiting:
        messages.deliver(messages.take())
        seen.append(storefront.get(path))

    statuses = [(response.body["status"], response.body["payment"]["status"]) for response in seen]
    assert statuses == [
        ("placed", "not_started"),
        ("confirmed", "authorized"),
        ("confirmed", "captured"),  # without a move of the order
    ]
    assert len({response.headers["ETag"] for response in seen}) == len(seen)


def test_the_etag_of_products_changes_with_a_reservation(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    before = storefront.get(PRODUCTS).headers["ETag"]
    storefront.order(MUG)
    messages.deliver_all()

    assert get_if_none_match(storefront, PRODUCTS, before).status == 200


def test_head_returns_headers_without_a_body(storefront: Storefront, path: str) -> None:
    whole = storefront.get(path)
    head = storefront.send("HEAD", path)
    known = storefront.send("HEAD", path, headers={"If-None-Match": whole.headers["ETag"]})

    assert (head.status, head.body) == (200, None)
    assert head.headers["ETag"] == whole.headers["ETag"]
    assert known.status == 304


@pytest.mark.parametrize("suffix", ["", "/timeline"])
@pytest.mark.parametrize("query", ["fields=id", "expand=everything", "pretty", "callback=alert"])
def test_an_unknown_parameter_is_named(storefront: Storefront, suffix: str, query: str) -> None:
    path = f"{ORDERS}/{storefront.order(MUG).order_id}{suffix}"

    response = storefront.get(f"{path}?{query}")

    assert response.is_problem(400, "invalid-query")
    assert response.parameters == [query.partition("=")[0]]


def test_listing_products_takes_two_statements(storefront: Storefront, shelf: Shelf) -> None:
    for number in range(20):
        shelf.put(f"BOOK-{number}", 1)

    with CaptureQueriesContext(connection) as captured:
        response = storefront.get(PRODUCTS)

    assert len(response.body["results"]) == 22
    assert len(captured) == len(("the token", "the catalogue"))
    assert not Order.objects.exists()


def get_if_none_match(storefront: Storefront, path: str, etag: str) -> ApiResponse:
    return storefront.send("GET", path, headers={"If-None-Match": etag})
