"""Schemathesis finds an endpoint that differs from the document."""

from collections.abc import Callable
from functools import wraps

import pytest
from django.contrib.auth.models import User
from rest_framework.request import Request
from rest_framework.response import Response

from access.models import ApiToken
from orders.api.products.views import ProductsView
from tests.support.schemathesis_run import Plan, explore
from tests.support.shop import Shelf

pytestmark = pytest.mark.usefixtures("disconnected_threads")

PRODUCTS = "/api/v1/products"
FEW = 3


@pytest.fixture
def plan(customer: User, shelf: Shelf) -> Plan:
    shelf.put("MUG", 5)
    return Plan(ApiToken.objects.issue(customer)[1], FEW, ["MUG"], {}, only=PRODUCTS)


def returns_an_undocumented_status(view: ProductsView, request: Request) -> Response:
    return Response({"results": []}, status=202)


def returns_an_incomplete_body(view: ProductsView, request: Request) -> Response:
    return Response({"results": [{"sku": "MUG"}]})


def returns_a_number_as_text(view: ProductsView, request: Request) -> Response:
    found = {"sku": "MUG", "name": "Mug", "price_minor": "12", "currency": "eur", "available": 1}
    return Response({"results": [found]})


def raises_an_error(view: ProductsView, request: Request) -> Response:
    raise ArithmeticError


def returns_a_page(view: ProductsView, request: Request) -> Response:
    return Response({"results": []}, content_type="text/html")


@pytest.mark.parametrize(
    ("get", "check"),
    [
        (returns_an_undocumented_status, "status_code_conformance"),
        (returns_an_incomplete_body, "response_schema_conformance"),
        (returns_a_number_as_text, "response_schema_conformance"),
        (raises_an_error, "not_a_server_error"),
        (returns_a_page, "content_type_conformance"),
    ],
)
def test_a_difference_from_the_document_is_found(
    get: Callable[[ProductsView, Request], Response],
    check: str,
    plan: Plan,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    correct = ProductsView.get

    @wraps(correct)  # with its documentation
    def get_wrongly(view: ProductsView, request: Request) -> Response:
        correct(view, request)  # refuses invalid requests
        return get(view, request)

    monkeypatch.setattr(ProductsView, "get", get_wrongly)

    found = explore(plan, monkeypatch)

    assert {
        finding.split(": ")[:2] == [f"GET {PRODUCTS}", check] for finding in found.findings
    } == {True}
    assert found.responses.total() > FEW


def test_an_endpoint_without_authentication_is_found(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ProductsView, "get_permissions", lambda _: [])
    monkeypatch.setattr(ProductsView, "get_authenticators", lambda _: [])

    found = explore(plan, monkeypatch)

    assert "ignored_auth" in {finding.split(": ")[1] for finding in found.findings}


def test_the_real_endpoint_has_no_findings(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    found = explore(plan, monkeypatch)

    assert found.findings == {}
    assert found.responses[f"GET {PRODUCTS}", 200] >= FEW
