"""Tokens from the command line: shown once, listed without what they are, ended with a reason."""

import json
from io import StringIO
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from access.models import ApiToken
from tests.orders.storefront import Storefront

PRODUCTS = "/api/v1/products"


def said(*command: str) -> str:
    out = StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


def test_a_token_is_made_listed_and_revoked(storefront: Storefront) -> None:
    made = json.loads(
        said("create_token", "--username=alice", "--name=phone", "--scope=orders:read")
    )
    storefront.token = made["token"]
    before = storefront.get(PRODUCTS).status
    listed = said("list_tokens", "--username=alice")

    revoked = said("revoke_token", made["id"], "--reason=lost")
    again = said("revoke_token", made["id"], "--reason=lost again")

    assert (before, storefront.get(PRODUCTS).status) == (200, 401)
    assert made["id"] in listed
    assert "phone" in listed
    assert made["token"] not in listed
    assert ApiToken.objects.get(pk=made["id"]).digest not in listed
    assert (revoked, again) == (
        f"{made['id']} is revoked.\n",
        f"{made['id']} was revoked before.\n",
    )
    assert ApiToken.objects.get(pk=made["id"]).revoked_reason == "lost"


def test_the_shops_server_gets_an_account_only_if_it_is_asked_for(db: None) -> None:
    shop = ("create_token", "--username=web-shop", "--scope=shop", "--days=0")

    with pytest.raises(CommandError, match="no account web-shop"):
        call_command(*shop)
    made = json.loads(said(*shop, "--create-account"))

    assert made["expires_at"] is None
    assert made["scopes"] == ["shop"]
    assert not User.objects.get().has_usable_password()


def test_a_token_that_never_was_is_not_revoked(db: None) -> None:
    with pytest.raises(CommandError, match="no token"):
        call_command("revoke_token", str(uuid4()), "--reason=none")


def test_a_customer_is_made_once_with_a_token_each_time(db: None) -> None:
    first = json.loads(said("create_customer", "--username=bob"))
    second = json.loads(said("create_customer", "--username=bob"))

    assert first["token"] != second["token"]
    assert ApiToken.objects.filter(user=User.objects.get()).count() == 2
