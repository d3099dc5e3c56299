"""Every error is a problem that says what to do and reveals no internals."""

import json
import logging
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import Client

import inventory.services
from orders.api.http import body_limits
from sagas.definition import Saga
from tests.support.database import all_rows
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import ORDERS, PROBLEM, ApiResponse, Storefront, cart

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "hunter2 at db.internal:5432 SELECT * FROM auth_user /srv/holdfast/orders.py"
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PRODUCTS = "/api/v1/products"


@pytest.fixture
def client() -> Client:
    """A client that returns error responses instead of raising."""
    return Client(raise_request_exception=False)


def authorized(storefront: Storefront) -> dict[str, str]:
    return {"Authorization": f"Bearer {storefront.token}"}


RAISED: dict[str, tuple[Callable[[], Exception], int, str]] = {
    "a bug": (lambda: RuntimeError(SECRET), 500, "internal-error"),
    "a missing key": (lambda: KeyError(SECRET), 500, "internal-error"),
    "no database": (lambda: OperationalError(SECRET), 503, "temporarily-unavailable"),
    "no permission": (lambda: PermissionDenied(SECRET), 403, "permission-denied"),
    "suspicion": (lambda: SuspiciousOperation(SECRET), 400, "malformed-request"),
}


@pytest.mark.parametrize("case", RAISED.values(), ids=RAISED.keys())
def test_an_error_in_a_view_is_a_problem_without_its_text(
    storefront: Storefront,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[Callable[[], Exception], int, str],
) -> None:
    error, status, slug = case
    monkeypatch.setattr(inventory.services, "catalogue", raiser(error))

    response = client.get(PRODUCTS, headers=authorized(storefront))

    problem = ApiResponse(response)
    assert problem.is_problem(status, slug)
    assert_nothing_leaks(response)
    assert problem.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("case", RAISED.values(), ids=RAISED.keys())
@pytest.mark.parametrize("path", [PRODUCTS, "/no-such-page"])
def test_an_error_in_middleware_is_a_problem_without_its_text(
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    case: tuple[Callable[[], Exception], int, str],
) -> None:
    error, status, slug = case
    monkeypatch.setattr(body_limits, "check_body", raiser(error))

    response = client.get(path)

    assert ApiResponse(response).is_problem(status, slug)
    assert_nothing_leaks(response)


def test_a_browser_gets_the_problem_as_a_page(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_limits, "check_body", raiser(lambda: RuntimeError(SECRET)))

    response = client.get("/admin/", headers=BROWSER)

    page = response.content.decode()
    assert (response.status_code, response["Content-Type"]) == (500, "text/html; charset=utf-8")
    assert "<h1>Internal error</h1>" in page
    assert response["X-Correlation-ID"] in page
    assert "<script" not in page
    assert_nothing_leaks(response)


def test_an_error_is_logged_with_its_traceback(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(body_limits, "check_body", raiser(lambda: OperationalError(SECRET)))

    with caplog.at_level(logging.ERROR):
        client.get(PRODUCTS)

    assert any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/no-such"),
        ("GET", "/api/"),
        ("GET", "/api/v2/orders"),
        ("GET", "/api/v1/orders/"),
        ("GET", "/api/v1/orders/7"),
        ("GET", "/api/v1/orders/00000000-0000-0000-0000-00000000000G"),
        ("POST", "/api/v1/orders/../admin"),
        ("GET", "/api/v1/orders/%00"),
        ("GET", "/api/v1/orders/%ff%fe"),
        ("DELETE", "/api/v1/" + "x" * 5_000),
    ],
)
def test_an_unknown_api_path_is_a_problem_for_browsers_too(
    client: Client, method: str, path: str
) -> None:
    response = client.generic(method, path, headers=BROWSER)

    assert ApiResponse(response).is_problem(404, "not-found")


def test_an_unknown_path_is_a_page_for_browsers_and_a_problem_for_programs(
    client: Client,
) -> None:
    page = client.get("/no-such-page", headers=BROWSER)
    problem = client.get("/no-such-page")

    assert (page.status_code, page["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert "<h1>Not found</h1>" in page.content.decode()
    assert ApiResponse(problem).is_problem(404, "not-found")


@pytest.mark.parametrize("host", ["evil.example", "localhost:80@evil", "a b", "", "[::1", "\xff"])
def test_an_unknown_host_is_refused_and_not_repeated(client: Client, host: str) -> None:
    response = client.get(PRODUCTS, headers={"Host": host or " "})

    assert ApiResponse(response).is_problem(400, "unknown-host")
    assert not host.strip() or host not in response.content.decode()


def test_a_form_without_a_csrf_token_is_refused_and_the_api_needs_none() -> None:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)

    form = client.post("/admin/login/", headers=BROWSER)
    call = client.post(ORDERS, {}, content_type="application/json")

    assert form.status_code == 403
    assert "<h1>Form expired</h1>" in form.content.decode()
    assert ApiResponse(call).is_problem(401, "not-authenticated")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"])
def test_problem_pages_are_read_only(method: str) -> None:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)

    response = ApiResponse(client.generic(method, "/problems/not-found"))

    assert response.is_problem(405, "method-not-allowed")
    assert response.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "BREW", "PROPFIND"])
def test_an_unknown_method_returns_405(storefront: Storefront, method: str) -> None:
    response = storefront.send(method, ORDERS)

    assert response.is_problem(405, "method-not-allowed")
    assert "POST" in response.headers["Allow"]


def test_head_and_options_have_no_body(storefront: Storefront) -> None:
    head = storefront.send("HEAD", PRODUCTS)
    options = storefront.send("OPTIONS", PRODUCTS)

    assert (head.status, head.raw) == (200, b"")
    assert (options.status, options.raw) == (200, b"")
    assert options.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_a_problem_has_the_correlation_id_of_its_header(storefront: Storefront) -> None:
    response = storefront.get(f"{ORDERS}/no-such")

    assert response.body["correlation_id"] == response.headers["X-Correlation-ID"]


def test_a_cancellation_that_is_too_late_lists_the_allowed_transitions(
    storefront: Storefront, messages: MessageQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = storefront.order(cart(("MUG", 1))).order_id
    messages.drop_all()
    before = all_rows()
    monkeypatch.setattr(Saga, "can_compensate_at", lambda *_: False)

    response = storefront.cancel(order_id, key="once")

    assert response.is_problem(409, "transition-not-allowed")
    assert (response.body["order_status"], response.body["allowed_transitions"]) == (
        "placed",
        ["confirmed"],
    )
    assert response.headers["Retry-After"] == "1"
    assert all_rows() == before
    assert messages.waiting == []
    monkeypatch.undo()
    assert storefront.cancel(order_id, key="once").status == 202


def test_a_lost_database_connection_during_authentication_returns_503(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        ours = cursor.fetchone()
    with closing(connection.copy()) as another, another.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", ours)

    response = client.get(PRODUCTS, headers={"Authorization": "Bearer " + "0" * 64})
    connection.close()

    problem = ApiResponse(response)
    assert problem.is_problem(503, "temporarily-unavailable")
    assert problem.headers["Retry-After"] == "2"


def raiser(error: Callable[[], Exception]) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error()

    return fail


def assert_nothing_leaks(response: HttpResponse | Any) -> None:
    """Assert that neither body nor headers contain the exception's text or a code location."""
    content = response.content.decode() + json.dumps(dict(response.headers))
    for word in ("hunter2", "db.internal", "5432", "SELECT", "/srv", "Traceback", "Error(", ".py"):
        assert word not in content
    assert response.headers["Content-Type"].split(";")[0] in (PROBLEM, "text/html")
