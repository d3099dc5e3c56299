"""Tokens at the desk: shown once when issued, revoked with a reason, never shown again."""

import re

import pytest
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from pytest_django import Settings

from access.models import ApiToken
from tests.support.storefront_client import Storefront

TOKENS = "/admin/access/apitoken/"


@pytest.fixture
def desk(transactional_db: None, settings: Settings) -> Client:
    settings.DESK_REQUIRES_MFA = False
    ContentType.objects.clear_cache()  # it outlives the rows, which are flushed after each test
    client = Client()
    superuser = User.objects.create_superuser("grace")
    client.force_login(superuser, "django.contrib.auth.backends.ModelBackend")
    return client


def test_a_token_is_shown_only_when_it_is_issued(storefront: Storefront, desk: Client) -> None:
    form = {
        "user": storefront.customer.pk,
        "name": "phone",
        "scopes": ["orders:read"],
        "days": 30,
    }

    page = desk.post(f"{TOKENS}add/", form, follow=True).content.decode()
    later = desk.get(TOKENS).content.decode()

    (secret,) = set(re.findall(r"holdfast_[0-9a-f]{64}", page))
    storefront.token = secret
    assert storefront.get("/api/v1/products").status == 200
    assert secret not in later
    assert ApiToken.objects.get(name="phone").scopes == ["orders:read"]


def test_a_token_is_revoked_once_with_a_reason(storefront: Storefront, desk: Client) -> None:
    token = ApiToken.objects.get()
    page = f"{TOKENS}{token.pk}/change/"

    without_reason = desk.post(page, {"revoked_reason": ""})
    before = storefront.get("/api/v1/products").status
    revoked = desk.post(page, {"revoked_reason": "lost"})
    again = desk.post(page, {"revoked_reason": "changed my mind"})

    assert (without_reason.status_code, before) == (200, 200)
    assert (revoked.status_code, again.status_code) == (302, 403)
    assert storefront.get("/api/v1/products").status == 401
    token.refresh_from_db()
    assert (token.revoked_reason, token.revoked_by) == ("lost", "grace")


def test_no_page_shows_a_digest(storefront: Storefront, desk: Client) -> None:
    token = ApiToken.objects.get()

    shown = [
        desk.get(path).content.decode()
        for path in (TOKENS, f"{TOKENS}{token.pk}/change/", f"{TOKENS}{token.pk}/history/")
    ]

    assert all(token.token_key in page for page in shown)
    assert not any(token.digest in page for page in shown)
