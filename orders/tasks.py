"""The periodic Celery task of orders: it deletes expired idempotency keys."""

from typing import Final

from celery import shared_task
from django.db import connection, transaction

KEY_LIFETIME: Final = "72 hours"
"""How long a repeated idempotency key gets the first response."""

BATCH_SIZE: Final = 500
MAX_BATCHES: Final = 200

_FORGET: Final = """
    DELETE FROM orders_idempotencyrecord WHERE id = ANY(ARRAY(
        SELECT id FROM orders_idempotencyrecord
        WHERE created_at < statement_timestamp() - %s::interval
        ORDER BY created_at LIMIT %s FOR UPDATE SKIP LOCKED
    ))
"""
"""The array is built once. Some plans for ``IN`` run the subquery again and exceed the limit."""


@shared_task(name="orders.forget_idempotency_keys")
def forget_idempotency_keys() -> None:
    """Delete keys older than 72 hours, in short transactions; the next run deletes the rest.

    Safe to repeat and to run concurrently; a crash loses at most the current batch's work. An
    order's ``reference`` never expires.
    """
    for _ in range(MAX_BATCHES):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_FORGET, [KEY_LIFETIME, BATCH_SIZE])
            if cursor.rowcount < BATCH_SIZE:
                return
