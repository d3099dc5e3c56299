"""Threads that outlive their tests may keep a connection; the test database may not be kept by it."""

import time
from typing import Final

from django.db import connection

PATIENCE_SECONDS: Final = 60


def end_sessions_left_behind() -> None:
    """Close every session but our own, as soon as nobody has used it for a while; then our own."""
    with connection.cursor() as cursor:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND state = 'idle' AND state_change < clock_timestamp() - interval '0.2 s'"
            )
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND backend_type = 'client backend'"
            )
            if cursor.fetchone() == (0,):
                break
            assert time.monotonic() < deadline
    connection.close()
