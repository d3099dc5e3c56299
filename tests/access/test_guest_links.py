"""Guest links: a signed link gives access to one order until it expires."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core import signing
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from access.links import GuestLink, new_link, read_link
from access.models import ApiToken
from orders.models import IdempotencyRecord, Order
from sagas.queries.subjects import compensation_requests
from tests.support import clock
from tests.support.database import all_rows
from tests.support.storefront_client import ORDERS, ApiResponse, Storefront, cart

GUEST = "/api/v1/guest/orders"


@pytest.fixture
def order(storefront: Storefront, shop_server: Storefront) -> Order:
    """The order of a guest; Alice has another one."""
    storefront.order(cart(("MUG", 1)))
    return Order.objects.get(pk=shop_server.order(cart(("MUG", 1))).order_id)


@pytest.fixture
def link(order: Order, shop_server: Storefront) -> GuestLink:
    return new_link(order.pk, shop_server.customer, days=1, may_cancel=True)


def ask_for_link(caller: Storefront, order: Order, body: object = b"") -> ApiResponse:
    return caller.send("POST", f"{ORDERS}/{order.pk}/links", body)


def by_link(caller: Storefront, token: str, part: str = "") -> ApiResponse:
    """Send a request with a link and without a token."""
    return caller.send("GET", f"{GUEST}/{token}{part}", headers={"Authorization": ""})


def cancel_by_link(caller: Storefront, token: str, key: str | None = None) -> ApiResponse:
    headers = {"Authorization": "", "Idempotency-Key": key or uuid4().hex}
    return caller.send("POST", f"{GUEST}/{token}/cancel", headers=headers)


def test_a_guest_follows_an_order_by_a_link_of_the_shops_server(
    order: Order, shop_server: Storefront
) -> None:
    made = ask_for_link(shop_server, order)
    seen = by_link(shop_server, made.body["token"])
    timeline = by_link(shop_server, made.body["token"], "/timeline")

    assert made.status == 201
    assert made.body["url"] == f"http://testserver{GUEST}/{made.body['token']}"
    assert lifetime(made) == pytest.approx(30, abs=0.01)
    assert (seen.status, seen.body["id"]) == (200, str(order.pk))
    assert timeline.status == 200
    assert seen.body["links"]["timeline"] == f"{GUEST}/{made.body['token']}/timeline"
    assert seen.headers["Cache-Control"] == made.headers["Cache-Control"] == "no-store"
    assert seen.headers["Referrer-Policy"] == "no-referrer"


def test_a_customer_creates_links_to_own_orders_only(order: Order, storefront: Storefront) -> None:
    own = Order.objects.get(customer=storefront.customer)

    assert ask_for_link(storefront, own).status == 201
    assert ask_for_link(storefront, order).is_problem(404, "not-found")


def test_a_link_needs_the_write_scope(order: Order, shop_server: Storefront) -> None:
    ApiToken.objects.update(scopes=["orders:read", "shop"])

    assert ask_for_link(shop_server, order).is_problem(403, "scope-missing")


@pytest.mark.parametrize("days", [0, -1, 91, 1.5, "30", None, True, 10**30])
def test_a_link_is_valid_for_at_most_90_days(
    order: Order, shop_server: Storefront, days: object
) -> None:
    refused = ask_for_link(shop_server, order, {"days": days})

    assert refused.is_problem(422, "invalid-request")
    assert refused.pointers == ["/days"]


def test_a_link_is_valid_for_the_requested_days(order: Order, shop_server: Storefront) -> None:
    assert lifetime(ask_for_link(shop_server, order, {"days": 90})) == pytest.approx(90, abs=0.01)


def test_a_repeated_cancel_by_link_is_replayed(shop_server: Storefront, link: GuestLink) -> None:
    first = cancel_by_link(shop_server, link.token(), "k")
    again = cancel_by_link(shop_server, link.token(), "k")

    assert (first.status, first.is_replayed) == (202, False)
    assert (again.status, again.is_replayed) == (202, True)
    assert first.headers["Location"] == f"{GUEST}/{link.token()}"
    assert [
        compensation.actor for compensation in compensation_requests([link.order_id])[link.order_id]
    ] == ["guest"]


def test_idempotency_keys_of_guests_are_separate(
    order: Order, shop_server: Storefront, link: GuestLink
) -> None:
    other = shop_server.order(cart(("MUG", 1)), "k").order_id

    cancelled = cancel_by_link(shop_server, link.token(), "k")
    others = cancel_by_link(shop_server, replace(link, order_id=other).token(), "k")

    assert [cancelled.status, others.status] == [202, 202]
    assert [cancelled.is_replayed, others.is_replayed] == [False, False]
    assert IdempotencyRecord.objects.filter(key="k").count() == 1


def test_a_read_only_link_cannot_cancel(order: Order, shop_server: Storefront) -> None:
    token = ask_for_link(shop_server, order, {"may_cancel": False}).body["token"]

    refused, seen = cancel_by_link(shop_server, token), by_link(shop_server, token)

    assert refused.is_problem(403, "scope-missing")
    assert (seen.status, seen.body["can_cancel"], seen.body["links"]["cancel"]) == (
        200,
        False,
        None,
    )
    assert compensation_requests([order.pk]) == {}


def test_an_expired_link_is_gone(
    shop_server: Storefront, link: GuestLink, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    expired = replace(link, expires_at=timezone.now() - timedelta(seconds=1)).token()

    with django_assert_num_queries(0):
        seen, cancelled = by_link(shop_server, expired), cancel_by_link(shop_server, expired)

    assert seen.is_problem(410, "link-expired")
    assert cancelled.is_problem(410, "link-expired")
    assert str(link.order_id) not in str(seen.body)


def test_a_link_expires_when_the_clock_is_moved(
    order: Order, shop_server: Storefront, link: GuestLink
) -> None:
    clock.advance(hours=23)
    before = by_link(shop_server, link.token())
    clock.advance(hours=2)
    after = by_link(shop_server, link.token())
    cancelled = cancel_by_link(shop_server, link.token())
    renewed = new_link(order.pk, shop_server.customer, days=1, may_cancel=True)

    assert before.status == 200
    assert after.is_problem(410, "link-expired")
    assert cancelled.is_problem(410, "link-expired")
    assert by_link(shop_server, renewed.token()).status == 200


def test_forged_links_are_answered_like_an_unknown_order(
    shop_server: Storefront, link: GuestLink
) -> None:
    token, before = link.token(), all_rows()
    content, signature = token.split(":")
    forged = [
        token[:-1],
        token[1:],
        content,
        f"{content}:",
        f":{signature}",
        f"{content}:{signature[::-1]}",
        f"{content[:-2]}AA:{signature}",
        token.swapcase(),
        f"{token}:{signature}",
        signing.dumps(str(link.order_id), salt="another purpose"),
        signing.Signer(salt="another purpose").sign_object([1]),
        str(link.order_id),
        "%00",
        "é",
        "x" * 4000,
    ]
    expected = shop_server.get(f"{ORDERS}/{uuid4()}")

    answers = [by_link(shop_server, token) for token in forged]
    answers += [cancel_by_link(shop_server, token) for token in forged]

    assert expected.is_problem(404, "not-found")
    assert [answer.comparable for answer in answers] == [expected.comparable] * len(answers)
    assert all_rows() == before


def test_a_link_is_no_token(
    shop_server: Storefront, storefront: Storefront, link: GuestLink
) -> None:
    token = link.token()
    others = Order.objects.get(customer=storefront.customer)
    headers = {"Authorization": f"Bearer {token}"}
    guest = {"Authorization": f"Guest {token}"}

    answers = [
        shop_server.send("GET", f"{ORDERS}/{others.pk}", headers=headers),
        shop_server.send("GET", f"{ORDERS}/{link.order_id}", headers=headers),
        shop_server.send("GET", f"{ORDERS}/{link.order_id}", headers=guest),
        shop_server.send("GET", "/api/v1/products", headers=guest),
    ]

    assert [answer.status for answer in answers] == [401] * 4


def test_a_link_works_for_callers_with_a_token(storefront: Storefront, link: GuestLink) -> None:
    seen = storefront.get(f"{GUEST}/{link.token()}")

    assert (seen.status, seen.body["id"]) == (200, str(link.order_id))


def test_links_stay_valid_while_the_old_secret_key_is_a_fallback(
    shop_server: Storefront, link: GuestLink, settings: Settings
) -> None:
    token, former = link.token(), settings.SECRET_KEY

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another key", [former]
    rotated = by_link(shop_server, token).status
    settings.SECRET_KEY_FALLBACKS = []
    forgotten = by_link(shop_server, token).status

    assert (rotated, forgotten) == (200, 404)


def test_revoking_ends_all_links_of_an_order_but_not_new_ones(
    order: Order, shop_server: Storefront, storefront: Storefront, link: GuestLink
) -> None:
    others = Order.objects.get(customer=storefront.customer)
    elsewhere = ask_for_link(storefront, others).body["token"]

    revoked = shop_server.send("DELETE", f"{ORDERS}/{order.pk}/links", headers={"Accept": "*/*"})
    fresh = ask_for_link(shop_server, order).body["token"]

    assert revoked.status == 204
    unknown = shop_server.get(f"{ORDERS}/{uuid4()}")
    assert by_link(shop_server, link.token()).comparable == unknown.comparable
    assert by_link(shop_server, fresh).status == 200
    assert by_link(storefront, elsewhere).status == 200


def test_a_customer_cannot_revoke_links_to_orders_of_others(
    order: Order, storefront: Storefront, link: GuestLink
) -> None:
    refused = storefront.send("DELETE", f"{ORDERS}/{order.pk}/links")

    assert refused.is_problem(404, "not-found")
    assert by_link(storefront, link.token()).status == 200


def test_a_link_ends_when_its_issuer_is_blocked(shop_server: Storefront, link: GuestLink) -> None:
    User.objects.filter(pk=shop_server.customer.pk).update(is_active=False)

    assert by_link(shop_server, link.token()).is_problem(404, "not-found")


def test_a_guest_is_authenticated_with_one_statement(
    shop_server: Storefront, link: GuestLink, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        cancel_without_key = shop_server.send(
            "POST", f"{GUEST}/{link.token()}/cancel", b"[]", {"Authorization": ""}
        )

    assert cancel_without_key.status == 422


def test_a_link_can_be_read_from_its_token(link: GuestLink) -> None:
    assert read_link(link.token()) == link


def lifetime(made: ApiResponse) -> float:
    """Return the days until a link expires."""
    left = datetime.fromisoformat(made.body["expires_at"]) - datetime.now(UTC)
    return left / timedelta(days=1)
