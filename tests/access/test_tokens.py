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


def test_only_the_digest_of_a_token_is_stored(storefront: Storefront) -> None:
    row = ApiToken.objects.values_list().get()

    assert storefront.token.startswith("holdfast_")
    assert storefront.token not in repr(row)
    assert len(storefront.token.removeprefix("holdfast_")) == 64


def test_an_expired_token_is_invalid_and_other_tokens_are_not(storefront: Storefront) -> None:
    _, other = ApiToken.objects.issue(storefront.customer)
    token = own_token(storefront)
    token.expiry = timezone.now() - timedelta(seconds=1)
    token.save()

    expired = storefront.get(PRODUCTS)
    storefront.token = other
    valid = storefront.get(PRODUCTS)

    assert expired.is_problem(401, "not-authenticated")
    assert valid.status == 200


def test_a_token_without_expiry_is_valid(storefront: Storefront) -> None:
    ApiToken.objects.update(expiry=None)

    assert storefront.get(PRODUCTS).status == 200


def test_a_revoked_token_is_invalid_and_keeps_its_first_reason(storefront: Storefront) -> None:
    _, other = ApiToken.objects.issue(storefront.customer)
    tokens = ApiToken.objects.filter(pk=own_token(storefront).pk)

    revoked = ApiToken.objects.revoke(tokens, reason="lost phone", actor="oscar")
    revoked_again = ApiToken.objects.revoke(tokens, reason="again", actor="mallory")

    assert (revoked, revoked_again) == (1, 0)
    assert storefront.get(PRODUCTS).is_problem(401, "not-authenticated")
    assert (tokens.get().revoked_reason, tokens.get().revoked_by) == ("lost phone", "oscar")
    storefront.token = other
    assert storefront.get(PRODUCTS).status == 200


def test_the_token_of_a_blocked_customer_is_invalid(storefront: Storefront) -> None:
    User.objects.update(is_active=False)

    assert storefront.get(PRODUCTS).is_problem(401, "not-authenticated")


@pytest.mark.parametrize(
    "token", ["", "a b", "ä", "0" * 5000, "'; --", "holdfast_", "\x00", "holdfast_" + "0" * 64]
)
def test_invalid_tokens_are_refused(storefront: Storefront, token: str) -> None:
    answer = storefront.send("GET", PRODUCTS, headers={"Authorization": f"Bearer {token}"})

    assert answer.is_problem(401, "not-authenticated")


def test_a_token_with_the_read_scope_cannot_place_orders(storefront: Storefront) -> None:
    reader = Storefront(storefront.customer, scopes=[Scope.READ])

    refused = reader.order(cart(("MUG", 1)))

    assert refused.is_problem(403, "scope-missing")
    assert "orders:write" in refused.body["detail"]
    assert reader.get(PRODUCTS).status == 200


def test_a_token_with_the_write_scope_cannot_read(storefront: Storefront) -> None:
    buyer = Storefront(storefront.customer, scopes=[Scope.WRITE])

    placed = buyer.order(cart(("MUG", 1)))
    refused = buyer.get(f"/api/v1/orders/{placed.order_id}")

    assert placed.status == 202
    assert refused.is_problem(403, "scope-missing")
    assert "orders:read" in refused.body["detail"]


def test_an_unknown_scope_cannot_be_stored(customer: User) -> None:
    with pytest.raises(IntegrityError, match="access_scopes_known"):
        ApiToken.objects.create(user=customer, digest="d", scopes=["orders:delete"])


def own_token(storefront: Storefront) -> ApiToken:
    return ApiToken.objects.get(token_key=storefront.token[:15])
