"""An upgrade from the release whose tokens were knox's own."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from knox.crypto import hash_token

from access.credentials import Scope
from access.models import ApiToken
from tests.support.storefront_client import Storefront

TABLE = """
    CREATE TABLE knox_authtoken (
        digest varchar(128) PRIMARY KEY,
        created timestamptz NOT NULL,
        user_id integer NOT NULL REFERENCES auth_user (id) DEFERRABLE INITIALLY DEFERRED,
        expiry timestamptz,
        token_key varchar(25) NOT NULL
    )
"""
OLD_TOKEN = "0a1b2c3d" * 8


@pytest.fixture
def former_release(storefront: Storefront) -> Iterator[None]:
    """A database in which alice has a token of knox's, and knox's migrations have run."""
    recorder = MigrationRecorder(connection)
    call_command("migrate", "access", "zero", verbosity=0)
    recorder.record_applied("knox", "0001_initial")
    with connection.cursor() as cursor:
        cursor.execute(TABLE)
        cursor.execute(
            "INSERT INTO knox_authtoken VALUES (%s, now(), %s, now() + interval '1 day', %s)",
            [hash_token(OLD_TOKEN), storefront.customer.pk, OLD_TOKEN[:15]],
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE knox_authtoken")
    recorder.record_unapplied("knox", "0001_initial")


def test_tokens_keep_working_after_the_upgrade(
    former_release: None, storefront: Storefront
) -> None:
    storefront.token = OLD_TOKEN

    call_command("migrate", verbosity=0)

    assert storefront.get("/api/v1/products").status == 200
    token = ApiToken.objects.get()
    assert token.scopes == [Scope.READ, Scope.WRITE]
    assert token.expiry is not None


def test_what_is_left_behind_keeps_no_customer_from_being_deleted(
    former_release: None, storefront: Storefront
) -> None:
    call_command("migrate", verbosity=0)

    storefront.customer.delete()

    assert not User.objects.filter(username="alice").exists()
    assert not ApiToken.objects.exists()
