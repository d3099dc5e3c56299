"""Idempotency keys are deleted after 72 hours, in small batches."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now

from orders import tasks
from orders.models import IdempotencyRecord, Order
from orders.tasks import forget_idempotency_keys
from tests.support.storefront_client import Storefront, cart

MUG = cart(("MUG", 1))
KEY_LIFETIME = timedelta(hours=72)
A_MINUTE = timedelta(minutes=1)

OTHER_PLANS = (
    "enable_hashagg",
    "enable_hashjoin",
    "enable_material",
    "enable_mergejoin",
    "enable_sort",
)
"""Without these, PostgreSQL runs the subquery of ``IN`` again for each row of the table."""


def test_a_key_expires_after_72_hours(storefront: Storefront) -> None:
    storefront.order(MUG, key="old")
    storefront.order(MUG, key="young")
    make_older("old", KEY_LIFETIME + A_MINUTE)
    make_older("young", KEY_LIFETIME - A_MINUTE)

    forget_idempotency_keys()

    assert [record.key for record in IdempotencyRecord.objects.all()] == ["young"]
    assert Order.objects.count() == 2
    assert storefront.order(MUG, key="young").is_replayed
    assert not storefront.order(MUG, key="old").is_replayed


def test_expired_keys_are_deleted_in_batches(
    storefront: Storefront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "BATCH_SIZE", 2)
    for number in range(5):
        storefront.order(MUG, key=f"old-{number}")
    make_older("old", KEY_LIFETIME + A_MINUTE)

    forget_idempotency_keys()

    assert not IdempotencyRecord.objects.exists()


def test_one_run_deletes_a_limited_number_of_batches(
    storefront: Storefront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "BATCH_SIZE", 1)
    monkeypatch.setattr(tasks, "MAX_BATCHES", 2)
    for number in range(3):
        storefront.order(MUG, key=f"old-{number}")
    make_older("old", KEY_LIFETIME + A_MINUTE)

    forget_idempotency_keys()

    assert IdempotencyRecord.objects.count() == 1


def test_a_batch_is_no_larger_than_its_limit_whatever_the_plan(
    storefront: Storefront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "BATCH_SIZE", 2)
    monkeypatch.setattr(tasks, "MAX_BATCHES", 1)
    for number in range(6):
        storefront.order(MUG, key=f"old-{number}")
    make_older("old", KEY_LIFETIME + A_MINUTE)

    with session_settings(**dict.fromkeys(OTHER_PLANS, "off")):
        forget_idempotency_keys()

    assert IdempotencyRecord.objects.count() == 4


def test_a_locked_key_is_skipped(storefront: Storefront) -> None:
    storefront.order(MUG, key="old-held")
    storefront.order(MUG, key="old-free")
    make_older("old", KEY_LIFETIME + A_MINUTE)

    with closing(connection.copy()) as another, another.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT FROM orders_idempotencyrecord WHERE key = 'old-held' FOR UPDATE")
        with session_settings(lock_timeout="1s"):  # so that waiting fails at once
            forget_idempotency_keys()

    assert [record.key for record in IdempotencyRecord.objects.all()] == ["old-held"]


@contextmanager
def session_settings(**settings: str) -> Iterator[None]:
    """Change PostgreSQL's settings of this thread's connection in the block."""
    with connection.cursor() as cursor:
        for name, value in settings.items():
            cursor.execute("SELECT set_config(%s, %s, false)", [name, value])
    try:
        yield
    finally:
        connection.close()


def make_older(prefix: str, age: timedelta) -> None:
    IdempotencyRecord.objects.filter(key__startswith=prefix).update(created_at=Now() - age)
