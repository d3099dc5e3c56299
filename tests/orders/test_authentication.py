"""Who is calling: one query for each request, whatever tokens the customer has besides."""

from datetime import timedelta

from django.utils import timezone
from knox.models import AuthToken
from pytest_django import DjangoAssertNumQueries

from tests.orders.storefront import Storefront

PRODUCTS = "/api/v1/products"


def test_a_request_reads_its_own_token_only(
    storefront: Storefront, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(5):
        AuthToken.objects.create(storefront.customer)

    with django_assert_num_queries(2):  # the token with its user; the products
        answer = storefront.get(PRODUCTS)

    assert answer.status == 200


def test_an_expired_token_is_none_and_the_others_go_on(storefront: Storefront) -> None:
    _, other = AuthToken.objects.create(storefront.customer)
    ours = AuthToken.objects.get(token_key=storefront.token[:15])
    ours.expiry = timezone.now() - timedelta(seconds=1)
    ours.save()

    expired = storefront.get(PRODUCTS)
    storefront.token = str(other)
    valid = storefront.get(PRODUCTS)

    assert expired.is_problem(401, "not-authenticated")
    assert valid.status == 200


def test_a_token_without_expiry_is_valid(storefront: Storefront) -> None:
    AuthToken.objects.update(expiry=None)

    assert storefront.get(PRODUCTS).status == 200
