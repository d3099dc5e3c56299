"""Customers at their storefronts, in front of a shelf with mugs and T-shirts."""

import time
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.backends.utils import CursorWrapper
from pytest_django import DjangoDbBlocker

from tests.conftest import Shelf
from tests.message_queue import MessageQueue
from tests.orders.storefront import Storefront


@pytest.fixture
def storefront(customer: User, shelf: Shelf, messages: MessageQueue) -> Storefront:
    """Alice's; nothing that she starts moves before its messages are delivered."""
    shelf.put("MUG", 5)
    shelf.put("TEE", 5, price_minor=2500)
    return Storefront(customer)


@pytest.fixture
def stranger(transactional_db: None) -> Storefront:
    """Mallory's."""
    return Storefront(User.objects.create(username="mallory"))


@pytest.fixture(scope="module")
def disconnected_watcher(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """The watching thread outlives its tests; the connection that it keeps may not."""
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        deadline = time.monotonic() + 10
        while others_after_closing_idle_ones(cursor):
            assert time.monotonic() < deadline
        connection.close()


def others_after_closing_idle_ones(cursor: CursorWrapper) -> int:
    """Close the sessions that nobody has used for a while, and count all but our own."""
    cursor.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND state = 'idle' AND state_change < clock_timestamp() - interval '0.2 s'"
    )
    cursor.execute(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    return int(cursor.fetchone()[0])
