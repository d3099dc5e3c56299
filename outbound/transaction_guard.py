"""Whether this thread is inside a database transaction."""

from django.db import connections
from psycopg.pq import TransactionStatus

_OPEN = frozenset({TransactionStatus.ACTIVE, TransactionStatus.INTRANS, TransactionStatus.INERROR})


def is_transaction_open() -> bool:
    """Check both Django's ``atomic`` and the state of the PostgreSQL session itself."""
    return any(
        connection.in_atomic_block
        or (
            connection.connection is not None
            and connection.connection.info.transaction_status in _OPEN
        )
        for connection in connections.all(initialized_only=True)
    )
