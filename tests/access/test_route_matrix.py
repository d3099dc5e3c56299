"""Requests every route as every caller, and compares the status with ``access_table``."""

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.http import HttpResponseBase
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from access.credentials import Scope
from access.links import new_link
from access.models import ApiToken
from sagas.identifiers import new_id
from tests.support.access_table import (
    API,
    BODIES,
    CALLERS,
    DESK_FOR_STAFF,
    DESK_PUBLIC,
    PUBLIC,
)
from tests.support.approval_helpers import open_approval
from tests.support.in_memory_broker import MessageQueue
from tests.support.routes import Route, all_routes, key_of_some_row
from tests.support.shop import Shelf
from tests.support.storefront_client import cart

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
BACKEND = "django.contrib.auth.backends.ModelBackend"
REDIRECTED = {301, 302}
REFUSED = {401, 403, 404, 405}

ROUTES = all_routes()
API_ROUTES = [route for route in ROUTES if not route.is_desk and route.name not in PUBLIC]
DESK_ROUTES = [route for route in ROUTES if route.is_desk]


class World:
    """Two customers with one order each, and all kinds of callers, who request the first order."""

    def __init__(self) -> None:
        self.alice = User.objects.create(username="alice-wonder")
        self.mallory = User.objects.create(username="mallory")
        self.server = User.objects.create(username="web-shop")
        self.staff = User.objects.create(username="stan", is_staff=True)
        self.order, self.other_order = (
            self._order(self._token(user, Scope.WRITE)) for user in (self.alice, self.mallory)
        )
        self.approval = open_approval(self.order)
        # Only the owner, a guest with a link and the shop may see these.
        self.secrets = (str(self.order), self.alice.username)

    def ask(self, caller: str, method: str, route: Route) -> HttpResponseBase:
        """Send a well-formed request as ``caller``."""
        client = Client()
        headers = {"Idempotency-Key": uuid4().hex, "Accept": "*/*"}
        if caller == "staff":
            client.force_login(self.staff, BACKEND)
        elif token := self.token_of(caller):
            headers["Authorization"] = f"Bearer {token}"
        body = json.dumps(BODIES[route.name]) if route.name in BODIES else ""
        return client.generic(
            method,
            route.path(self.values(caller, route)),
            body,
            content_type="application/json",
            headers=headers,
        )

    def token_of(self, caller: str) -> str:
        """Return a new token: a request may revoke the token that it uses."""
        both, now = (Scope.READ, Scope.WRITE), timezone.now()
        if caller in ("guest", "other guest"):
            return self.link_of(caller)
        issue: dict[str, Callable[[], str]] = {
            "owner": lambda: self._token(self.alice, *both),
            "stranger": lambda: self._token(self.mallory, *both),
            "reader": lambda: self._token(self.alice, Scope.READ),
            "writer": lambda: self._token(self.alice, Scope.WRITE),
            "expired": lambda: self._token(self.alice, *both, expiry=now),
            "revoked": lambda: self._token(self.alice, *both, revoked_at=now),
            "shop": lambda: self._token(self.server, *Scope),
        }
        return issue[caller]() if caller in issue else ""

    def link_of(self, caller: str) -> str:
        order = self.other_order if caller == "other guest" else self.order
        return new_link(order, self.server, days=1, may_cancel=True).token()

    def values(self, caller: str, route: Route) -> dict[str, object]:
        """Return the path's parameters: an existing order, and the caller's link or a forged one."""
        has_link = caller in ("guest", "other guest")
        return {
            "order_id": self.order,
            "approval_id": self.approval.pk,
            "name": "packed",
            "token": self.link_of(caller) if has_link else f"{self.link_of('guest')[:-1]}!",
        }

    def _token(self, user: User, *scopes: Scope, **changes: datetime) -> str:
        token, secret = ApiToken.objects.issue(user, scopes=scopes)
        if changes:
            ApiToken.objects.filter(pk=token.pk).update(**changes)
        return secret

    def _order(self, token: str) -> UUID:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": uuid4().hex}
        placed = Client().post(
            "/api/v1/orders", cart(("MUG", 1)), content_type="application/json", headers=headers
        )
        return UUID(placed.json()["id"])


@pytest.fixture
def world(shelf: Shelf, messages: MessageQueue, settings: Settings) -> World:
    settings.DESK_REQUIRES_MFA = False
    ContentType.objects.clear_cache()  # the cache outlives its rows, which each test deletes
    shelf.put("MUG", 5000)
    return World()


def test_every_route_is_in_the_table_and_every_row_has_a_route() -> None:
    assert {route.name for route in API_ROUTES} == {name for name, _ in API}
    assert {route.name for route in ROUTES} >= PUBLIC | DESK_PUBLIC | DESK_FOR_STAFF
    assert {caller for row in API.values() for caller in row} == set(CALLERS)


@pytest.mark.parametrize("route", API_ROUTES, ids=lambda route: route.name)
def test_the_api_has_the_statuses_of_the_table(world: World, route: Route) -> None:
    wrong = []
    for method in METHODS:
        row = API.get((route.name, method))
        for caller in CALLERS if row else ("anonymous", "owner", "shop"):
            answer = world.ask(caller, method, route)
            if row is None:
                # OPTIONS may list the methods for a caller who can use them.
                is_expected = answer.status_code in REFUSED | (
                    {200} if method == "OPTIONS" else set()
                )
            else:
                is_expected = answer.status_code == row[caller]
            may_know = caller in ("owner", "reader", "writer", "shop", "guest")
            if not is_expected or (reveals(answer, world.secrets) and not may_know):
                wrong.append((method, caller, answer.status_code))

    assert wrong == [], wrong


def test_public_pages_reveal_nothing_of_orders(world: World) -> None:
    wrong = []
    for route in (route for route in ROUTES if route.name in PUBLIC):
        for method in METHODS:
            answer = ask_the_public(world, "owner", method, route)
            expected = {200} if method == "GET" else {200, *REFUSED}
            if answer.status_code not in expected or reveals(answer, world.secrets):
                wrong.append((route.name, method, answer.status_code))

    assert wrong == [], wrong


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_staff_without_permissions_see_nothing_at_the_desk(world: World, method: str) -> None:
    wrong = []
    for route in DESK_ROUTES:
        answer = ask_the_desk(world, "staff", method, route)
        is_allowed = route.name in DESK_FOR_STAFF | DESK_PUBLIC
        allowed = {200, 400, *REDIRECTED, *REFUSED} if is_allowed else REDIRECTED | REFUSED
        if answer.status_code not in allowed or reveals(answer, world.secrets):
            wrong.append((route.name, answer.status_code))

    assert wrong == [], wrong


def test_no_token_opens_the_desk(world: World) -> None:
    wrong = []
    for route in DESK_ROUTES:
        answer = ask_the_desk(world, "shop", "GET", route)
        allowed = REDIRECTED | REFUSED | ({200} if route.name in DESK_PUBLIC else set())
        if answer.status_code not in allowed or reveals(answer, world.secrets):
            wrong.append((route.name, answer.status_code))

    assert wrong == [], wrong


def ask_the_public(world: World, caller: str, method: str, route: Route) -> HttpResponseBase:
    known = Route(route.name, route.pattern.replace("<slug:slug>", "not-found"))
    return world.ask(caller, method, known)


def ask_the_desk(world: World, caller: str, method: str, route: Route) -> HttpResponseBase:
    """Request a page of the desk about an existing object."""
    values = {
        "object_id": key_of_some_row(route) or world.order,
        "id": world.alice.pk,
        "order_id": world.order,
        "approval_id": world.approval.pk,
        "pk": new_id(),
        "kind": "cancel",
        "decision": "approve",
        "name": "packed",
        "app_label": "orders",
        "url": "orders/order",
    }
    return world.ask(caller, method, Route(route.name, route.path(values)[1:]))


def reveals(answer: HttpResponseBase, secrets: Iterable[str]) -> bool:
    """Return whether a response contains one of the secrets."""
    if answer.streaming:  # the first event has the order's id
        content = next(iter(answer.streaming_content)).decode()  # type: ignore[attr-defined]
        answer.close()
    else:
        content = answer.content.decode()  # type: ignore[attr-defined]
    return any(secret in content for secret in secrets)
