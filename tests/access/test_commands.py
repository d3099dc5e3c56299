"""Tokens from the command line: shown once, listed without secrets, revoked with a reason."""

import json
from io import StringIO
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from access.models import ApiToken
from access.os_user import user_of_this_shell
from tests.support.storefront_client import Storefront

PRODUCTS = "/api/v1/products"


def output_of(*command: str) -> str:
    out = StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


def test_a_token_is_created_listed_and_revoked(storefront: Storefront) -> None:
    made = json.loads(
        output_of("create_token", "--username=alice", "--name=phone", "--scope=orders:read")
    )
    storefront.token = made["token"]
    before = storefront.get(PRODUCTS).status
    listed = output_of("list_tokens", "--username=alice")

    revoked = output_of("revoke_token", made["id"], "--reason=lost")
    again = output_of("revoke_token", made["id"], "--reason=lost again")

    assert (before, storefront.get(PRODUCTS).status) == (200, 401)
    assert made["id"] in listed
    assert "phone" in listed
    assert made["token"] not in listed
    assert ApiToken.objects.get(pk=made["id"]).digest not in listed
    assert (revoked, again) == (
        f"{made['id']} is revoked.\n",
        f"{made['id']} was revoked before.\n",
    )
    token = ApiToken.objects.get(pk=made["id"])
    assert (token.revoked_reason, token.revoked_by) == (
        "lost",
        user_of_this_shell().get_username(),
    )
    assert token.revoked_by.startswith("shell:")


def test_an_account_is_created_only_with_the_option(db: None) -> None:
    shop = ("create_token", "--username=web-shop", "--scope=shop", "--days=0")

    with pytest.raises(CommandError, match="no account web-shop"):
        call_command(*shop)
    made = json.loads(output_of(*shop, "--create-account"))

    assert made["expires_at"] is None
    assert made["scopes"] == ["shop"]
    assert not User.objects.get().has_usable_password()


def test_an_unknown_token_is_an_error(db: None) -> None:
    with pytest.raises(CommandError, match="no token"):
        call_command("revoke_token", str(uuid4()), "--reason=none")


def test_create_customer_creates_one_account_and_a_token_each_time(db: None) -> None:
    first = json.loads(output_of("create_customer", "--username=bob"))
    second = json.loads(output_of("create_customer", "--username=bob"))

    assert first["token"] != second["token"]
    assert ApiToken.objects.filter(user=User.objects.get()).count() == 2


@pytest.mark.parametrize("name", ["", " ", "a b", "zoë", "x" * 151, "<script>", "shell:alice"])
def test_an_invalid_name_of_a_new_account_is_refused(db: None, name: str) -> None:
    for command in (
        ("create_customer",),
        ("create_token", "--create-account", "--scope=orders:read"),
    ):
        with pytest.raises(CommandError, match="--username: ") as raised:
            call_command(*command, f"--username={name}")
        assert raised.value.returncode == 2

    assert not User.objects.exists()
    assert not ApiToken.objects.exists()


def test_an_existing_account_may_have_any_name(db: None) -> None:
    User.objects.create_user("zoë")

    output_of("create_customer", "--username=zoë")

    assert ApiToken.objects.get().user.username == "zoë"


@pytest.mark.parametrize(
    "given", ["--days=-1", "--days=many", "--days=99999999", "--name=" + "x" * 101, "--name=a\0b"]
)
def test_invalid_arguments_create_no_token(db: None, given: str) -> None:
    User.objects.create_user("alice")

    with pytest.raises(CommandError, match=f"argument {given.partition('=')[0]}: "):
        call_command("create_token", "--username=alice", "--scope=orders:read", given)

    assert not ApiToken.objects.exists()


@pytest.mark.parametrize("reason", ["", "  ", "x" * 256])
def test_a_token_is_not_revoked_without_a_reason(db: None, reason: str) -> None:
    made = json.loads(output_of("create_customer", "--username=alice"))

    with pytest.raises(CommandError, match="argument --reason: give 1 to 255 characters"):
        call_command("revoke_token", str(ApiToken.objects.get().pk), f"--reason={reason}")

    assert made["token"]
    assert ApiToken.objects.get().revoked_at is None


def test_listing_tokens_of_an_unknown_account_is_an_error(db: None) -> None:
    with pytest.raises(CommandError, match="There is no account unknown"):
        call_command("list_tokens", "--username=unknown")
