"""Responses while the database or Redis is down: problems, never HTML."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from django.db import connection
from django.test import Client

import inventory.services
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import Answer, Storefront, cart

MUG = cart(("MUG", 1))


def test_a_bug_of_ours_is_a_problem_that_tells_nothing_of_it(
    storefront: Storefront, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(**_: object) -> None:
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr(inventory.services, "catalogue", break_down)
    authorization = {"Authorization": f"Bearer {storefront.token}"}
    response = Client(raise_request_exception=False).get("/api/v1/products", headers=authorization)

    assert Answer(response).is_problem(500, "internal-error")
    assert b"secret" not in response.content
    with pytest.raises(RuntimeError, match="the secret is 42"):
        storefront.get("/api/v1/products")


def test_without_the_database_everybody_is_told_to_come_back(storefront: Storefront) -> None:
    cut_off_from_the_database()

    answer = storefront.get("/api/v1/products")
    connection.close()

    assert answer.is_problem(503, "temporarily-unavailable")
    assert answer.headers["Retry-After"] == "2"
    assert storefront.get("/api/v1/products").status == 200


def test_a_cancel_that_has_to_wait_for_its_run_does_not_blame_its_key(
    storefront: Storefront, messages: MessageQueue
) -> None:
    order_id = storefront.order(MUG).order_id

    with closing(connection.copy()) as another, another.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT 1 FROM sagas_sagarun WHERE subject_id = %s FOR UPDATE", [order_id])
        with impatient_for_locks():
            answer = storefront.cancel(order_id, key="fresh")

    assert answer.is_problem(503, "temporarily-unavailable")
    afterwards = storefront.cancel(order_id, key="fresh")
    assert (afterwards.status, afterwards.is_replayed) == (202, False)


def test_a_process_says_that_it_lives_without_asking_anybody(transactional_db: None) -> None:
    cut_off_from_the_database()

    response = Client().get("/health/live")
    connection.close()

    assert (response.status_code, response.content) == (200, b'{"status": "live"}')


@contextmanager
def impatient_for_locks() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    yield
    with connection.cursor() as cursor:
        cursor.execute("RESET lock_timeout")


def cut_off_from_the_database() -> None:
    """Close the connection as a restart of PostgreSQL does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        ours = cursor.fetchone()
    with closing(connection.copy()) as another, another.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", ours)
