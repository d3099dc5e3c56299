"""What beat asks of orders."""

from typing import Final

from celery import shared_task
from django.db import connection, transaction

KEPT: Final = "72 hours"
"""How long a client's idempotency key is known."""

BATCH: Final = 500
MOST_BATCHES: Final = 200

_FORGET: Final = """
    DELETE FROM orders_idempotencyrecord WHERE id IN (
        SELECT id FROM orders_idempotencyrecord
        WHERE created_at < statement_timestamp() - %s::interval
        ORDER BY created_at LIMIT %s FOR UPDATE SKIP LOCKED
    )
"""


@shared_task(name="orders.forget_idempotency_keys")
def forget_idempotency_keys() -> None:
    """Forget keys of more than 72 hours, in batches that hold nobody up; what is left waits.

    Safe to run twice at once. An order's own reference is known for ever.
    """
    for _ in range(MOST_BATCHES):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_FORGET, [KEPT, BATCH])
            if cursor.rowcount < BATCH:
                return
