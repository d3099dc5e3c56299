"""Token authentication: one query per request, independent of the customer's other tokens."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from access.credentials import Scope
from access.models import ApiToken
from tests.support.storefront_client import Storefront, cart

PRODUCTS = "/api/v1/products"


def test_a_request_reads_its_own_token_only(
    storefront: Storefront, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(5):
        ApiToken.objects.issue(storefront.customer)

    with django_assert_num_queries(2):  # the token with its user; the products
        answer = storefront.get(PRODUCTS)

    assert answer.status == 200


def test_a_token_is_kept_as_a_digest_alone(storefront: Storefront) -> None:
    row = ApiToken.objects.values_list().get()

    assert storefront.token.startswith("holdfast_")
    assert storefront.token not in repr(row)
    assert len(storefront.token.removeprefix("holdfast_")) == 64


def test_an_expired_token_is_none_and_the_others_go_on(storefront: Storefront) -> None:
    _, other = ApiToken.objects.issue(storefront.customer)
    ours = own_token(storefront)
    ours.expiry = timezone.now() - timedelta(seconds=1)
    ours.save()

    expired = storefront.get(PRODUCTS)
    storefront.token = other
    valid = storefront.get(PRODUCTS)

    assert expired.is_problem(401, "not-authenticated")
    assert valid.status == 200


def test_a_token_without_expiry_is_valid(storefront: Storefront) -> None:
    ApiToken.objects.update(expiry=None)

    assert storefront.get(PRODUCTS).status == 200


def test_a_revoked_token_is_none_and_says_so_to_the_desk_for_ever(storefront: Storefront) -> None:
    _, other = ApiToken.objects.issue(storefront.customer)
    ours = ApiToken.objects.filter(pk=own_token(storefront).pk)

    revoked = ApiToken.objects.revoke(ours, reason="lost phone", actor="oscar")
    revoked_again = ApiToken.objects.revoke(ours, reason="again", actor="mallory")

    assert (revoked, revoked_again) == (1, 0)
    assert storefront.get(PRODUCTS).is_problem(401, "not-authenticated")
    assert (ours.get().revoked_reason, ours.get().revoked_by) == ("lost phone", "oscar")
    storefront.token = other
    assert storefront.get(PRODUCTS).status == 200


def test_the_token_of_a_blocked_customer_is_none(storefront: Storefront) -> None:
    User.objects.update(is_active=False)

    assert storefront.get(PRODUCTS).is_problem(401, "not-authenticated")


@pytest.mark.parametrize(
    "token", ["", "a b", "ä", "0" * 5000, "'; --", "holdfast_", "\x00", "holdfast_" + "0" * 64]
)
def test_whatever_is_no_token_is_refused_alike(storefront: Storefront, token: str) -> None:
    answer = storefront.send("GET", PRODUCTS, headers={"Authorization": f"Bearer {token}"})

    assert answer.is_problem(401, "not-authenticated")


def test_a_token_that_may_read_may_not_buy(storefront: Storefront) -> None:
    reader = Storefront(storefront.customer, scopes=[Scope.READ])

    refused = reader.order(cart(("MUG", 1)))

    assert refused.is_problem(403, "scope-missing")
    assert "orders:write" in refused.body["detail"]
    assert reader.get(PRODUCTS).status == 200


def test_a_token_that_may_buy_may_not_read(storefront: Storefront) -> None:
    buyer = Storefront(storefront.customer, scopes=[Scope.WRITE])

    placed = buyer.order(cart(("MUG", 1)))
    refused = buyer.get(f"/api/v1/orders/{placed.order_id}")

    assert placed.status == 202
    assert refused.is_problem(403, "scope-missing")
    assert "orders:read" in refused.body["detail"]


def test_a_scope_that_nobody_knows_is_not_stored(customer: User) -> None:
    with pytest.raises(IntegrityError, match="access_scopes_known"):
        ApiToken.objects.create(user=customer, digest="d", scopes=["orders:delete"])


def own_token(storefront: Storefront) -> ApiToken:
    return ApiToken.objects.get(token_key=storefront.token[:15])
