"""Idempotency keys are deleted after 72 hours, in small batches."""

from contextlib import closing
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now

from orders import tasks
from orders.models import IdempotencyRecord, Order
from orders.tasks import forget_idempotency_keys
from tests.support.storefront_client import Storefront, cart

MUG = cart(("MUG", 1))
KEPT = timedelta(hours=72)
A_MINUTE = timedelta(minutes=1)


def test_a_key_is_known_for_72_hours_and_no_longer(storefront: Storefront) -> None:
    storefront.order(MUG, key="old")
    storefront.order(MUG, key="young")
    let_age("old", KEPT + A_MINUTE)
    let_age("young", KEPT - A_MINUTE)

    forget_idempotency_keys()

    assert [each.key for each in IdempotencyRecord.objects.all()] == ["young"]
    assert Order.objects.count() == 2
    assert storefront.order(MUG, key="young").is_replayed
    assert not storefront.order(MUG, key="old").is_replayed


def test_keys_are_forgotten_in_batches_until_none_is_left(
    storefront: Storefront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "BATCH", 2)
    for number in range(5):
        storefront.order(MUG, key=f"old-{number}")
    let_age("old", KEPT + A_MINUTE)

    forget_idempotency_keys()

    assert not IdempotencyRecord.objects.exists()


def test_there_is_an_end_to_what_is_forgotten_at_once(
    storefront: Storefront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "BATCH", 1)
    monkeypatch.setattr(tasks, "MAX_BATCHES", 2)
    for number in range(3):
        storefront.order(MUG, key=f"old-{number}")
    let_age("old", KEPT + A_MINUTE)

    forget_idempotency_keys()

    assert IdempotencyRecord.objects.count() == 1


def test_a_key_that_somebody_holds_keeps_nobody_waiting(storefront: Storefront) -> None:
    storefront.order(MUG, key="old-held")
    storefront.order(MUG, key="old-free")
    let_age("old", KEPT + A_MINUTE)

    with closing(connection.copy()) as another, another.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT FROM orders_idempotencyrecord WHERE key = 'old-held' FOR UPDATE")
        forget_idempotency_keys()

    assert [each.key for each in IdempotencyRecord.objects.all()] == ["old-held"]


def let_age(prefix: str, age: timedelta) -> None:
    IdempotencyRecord.objects.filter(key__startswith=prefix).update(created_at=Now() - age)
