"""SERVE selects routes, middleware and host names."""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.urls import Resolver404, resolve

from config.serving import SHARED_MIDDLEWARE
from tests.support.fresh_settings import read_settings
from tests.support.staff_login import superuser

HOSTS = {"ALLOWED_HOSTS": "shop.example", "DESK_HOSTS": "desk.example"}
STOREFRONT, DESK = "/api/v1/products", "/admin/"
API_PATHS = (STOREFRONT, "/api/v1/orders", "/api/v1/quotes", "/api/schema", "/api/docs/")
DESK_PATHS = (DESK, "/admin/login/", "/admin/orders/order/")
ONLY_THE_DESKS = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "desk.sessions.SessionLimits",
    "django.contrib.messages.middleware.MessageMiddleware",
    "axes.middleware.AxesMiddleware",
]
"""Repeated here: a middleware that moves to the list of both is found."""


@pytest.fixture
def settings_with(monkeypatch: pytest.MonkeyPatch) -> Any:
    def read(**variables: str) -> dict[str, Any]:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return read_settings()

    return read


@pytest.mark.parametrize("value", ["", "web", "Desk", "storefront,desk"])
def test_an_unknown_value_is_refused(settings_with: Any, value: str) -> None:
    with pytest.raises(ImproperlyConfigured) as raised:
        settings_with(SERVE=value)

    assert str(raised.value) == f"SERVE must be one of storefront, desk, both; it is {value!r}"


def test_the_default_is_the_storefront(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERVE", raising=False)

    assert read_settings()["SERVE"] == "storefront"


def test_the_storefront_has_no_middleware_of_the_desk(settings_with: Any) -> None:
    found = settings_with(SERVE="storefront")

    assert found["MIDDLEWARE"] == SHARED_MIDDLEWARE
    assert not set(SHARED_MIDDLEWARE) & set(ONLY_THE_DESKS)
    assert len(SHARED_MIDDLEWARE) == 10


def test_the_desk_has_all_of_its_middleware_after_the_shared_ones(settings_with: Any) -> None:
    desk, both = (settings_with(SERVE=serve)["MIDDLEWARE"] for serve in ("desk", "both"))

    assert desk == [*SHARED_MIDDLEWARE, *ONLY_THE_DESKS]
    assert both == [
        *SHARED_MIDDLEWARE,
        "config.desk_only_middleware.DeskOnlyMiddleware",
        *ONLY_THE_DESKS,
    ]


@pytest.mark.parametrize("serve", ["desk", "both"])
def test_a_process_with_the_desk_silences_no_check(settings_with: Any, serve: str) -> None:
    assert settings_with(SERVE=serve)["SILENCED_SYSTEM_CHECKS"] == []


@pytest.mark.parametrize(
    ("serve", "storefront", "desk"),
    [("storefront", True, False), ("desk", False, True), ("both", True, True)],
)
def test_each_value_has_its_routes(
    settings_with: Any, serve: str, *, storefront: bool, desk: bool
) -> None:
    routes = settings_with(SERVE=serve)["ROOT_URLCONF"]

    assert {has_route(routes, path) for path in API_PATHS} == {storefront}
    assert {has_route(routes, path) for path in DESK_PATHS} == {desk}
    assert has_route(routes, "/problems/")


def has_route(routes: str, path: str) -> bool:
    try:
        resolve(path, routes)
    except Resolver404:
        return False
    return True


@pytest.mark.parametrize(
    ("serve", "hosts"),
    [
        ("storefront", ["shop.example"]),
        ("desk", ["desk.example"]),
        ("both", ["shop.example", "desk.example"]),
    ],
)
def test_each_value_has_its_host_names(settings_with: Any, serve: str, hosts: list[str]) -> None:
    assert settings_with(SERVE=serve, **HOSTS)["ALLOWED_HOSTS"] == hosts


@pytest.mark.parametrize("serve", ["storefront", "desk", "both"])
def test_without_desk_hosts_the_desk_has_the_storefronts_names(
    settings_with: Any, serve: str
) -> None:
    found = settings_with(SERVE=serve, ALLOWED_HOSTS="shop.example", DESK_HOSTS="")

    assert found["ALLOWED_HOSTS"] == ["shop.example"]


@pytest.mark.django_db(transaction=True)
def test_with_both_the_storefront_has_no_session_and_no_user() -> None:
    client = Client()
    client.force_login(superuser())

    storefront, desk = client.get("/problems/"), client.get(DESK)
    refused = client.get(STOREFRONT)

    assert (storefront.status_code, desk.status_code, refused.status_code) == (200, 200, 401)
    assert storefront.wsgi_request.resolver_match is not None
    for response in (storefront, refused):
        assert (
            not {"session", "csrf_processing_done", "_messages"}
            & vars(response.wsgi_request).keys()
        )
        assert not response.cookies
    assert not hasattr(storefront.wsgi_request, "user")
    assert {"session", "user", "_messages"} <= vars(desk.wsgi_request).keys()


@pytest.mark.django_db
def test_with_both_only_the_desk_checks_csrf_tokens() -> None:
    client = Client(enforce_csrf_checks=True)

    assert client.post("/admin/login/").status_code == 403
    assert client.post("/api/v1/orders").status_code == 401
    assert client.post("/nowhere").status_code == 404


def test_an_error_in_a_storefront_view_is_a_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr("orders.api.http.problem_pages.render", fail)

    response = Client(raise_request_exception=False).get("/problems/")

    assert response.status_code == 500
    assert response["Content-Type"] == "application/problem+json"
