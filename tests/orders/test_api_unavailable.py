"""Responses while the database or Redis is down: problems, never HTML."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from django.db import connection
from django.test import Client

import inventory.services
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import ApiResponse, Storefront, cart

MUG = cart(("MUG", 1))


def test_a_bug_returns_500_without_its_text(
    storefront: Storefront, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(**_: object) -> None:
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr(inventory.services, "catalogue", break_down)
    authorization = {"Authorization": f"Bearer {storefront.token}"}
    response = Client(raise_request_exception=False).get("/api/v1/products", headers=authorization)

    assert ApiResponse(response).is_problem(500, "internal-error")
    assert b"secret" not in response.content
    with pytest.raises(RuntimeError, match="the secret is 42"):
        storefront.get("/api/v1/products")


def test_a_lost_database_connection_returns_503(storefront: Storefront) -> None:
    close_connection_from_outside()

    response = storefront.get("/api/v1/products")
    connection.close()

    assert response.is_problem(503, "temporarily-unavailable")
    assert response.headers["Retry-After"] == "2"
    assert storefront.get("/api/v1/products").status == 200


def test_a_cancellation_that_cannot_lock_its_run_returns_503(
    storefront: Storefront, messages: MessageQueue
) -> None:
    order_id = storefront.order(MUG).order_id

    with closing(connection.copy()) as another, another.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT 1 FROM sagas_sagarun WHERE subject_id = %s FOR UPDATE", [order_id])
        with short_lock_timeout():
            response = storefront.cancel(order_id, key="fresh")

    assert response.is_problem(503, "temporarily-unavailable")
    afterwards = storefront.cancel(order_id, key="fresh")
    assert (afterwards.status, afterwards.is_replayed) == (202, False)


def test_liveness_needs_no_database(transactional_db: None) -> None:
    close_connection_from_outside()

    response = Client().get("/health/live")
    connection.close()

    assert (response.status_code, response.content) == (200, b'{"status": "live"}')


@contextmanager
def short_lock_timeout() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    yield
    with connection.cursor() as cursor:
        cursor.execute("RESET lock_timeout")


def close_connection_from_outside() -> None:
    """Close the connection as a restart of PostgreSQL does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        ours = cursor.fetchone()
    with closing(connection.copy()) as another, another.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", ours)
