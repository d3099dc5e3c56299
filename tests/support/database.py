"""Act on the test database beside Django: empty it, watch its locks, end sessions, read its clock."""

from datetime import datetime
from functools import cache
from typing import Final

from django.db import connection, transaction

from tests.support.waits import wait_until

_WAITING_FOR_US: Final = """
    SELECT count(*) FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))
"""

_END_IDLE_SESSIONS: Final = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND state = 'idle' AND state_change < clock_timestamp() - interval '0.2 s'
"""

_OTHER_SESSIONS: Final = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND backend_type = 'client backend'
"""


def empty_all_tables() -> None:
    """Delete every row of every table that a model has, and wait for other writers first.

    Does what Django's ``flush`` does. ``TRUNCATE`` makes new files for all 45 tables and their
    indexes: it takes fifty times as long as deleting the few rows that a test writes.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_delete_everything())


@cache
def _delete_everything() -> str:
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    names = [f'"{table}"' for table in sorted(tables)]
    return ";".join((
        f"LOCK TABLE {', '.join(names)} IN SHARE ROW EXCLUSIVE MODE",
        "SET LOCAL session_replication_role = replica",  # no triggers, no foreign keys
        *(f"DELETE FROM {name}" for name in names),  # noqa: S608 - names of our own tables
    ))  # fmt: skip


def wait_until_blocking() -> None:
    """Return when another session waits for a lock that this thread's transaction holds."""
    with connection.cursor() as cursor:
        wait_until(
            lambda: cursor.execute(_WAITING_FOR_US).fetchone()[0], "another session waits for us"
        )


def end_other_sessions() -> None:
    """Close every other session once it has been idle for 0.2 s; then close our own.

    For tests whose threads keep connections: the test database cannot be dropped while they last.
    """
    with connection.cursor() as cursor:

        def are_gone() -> bool:
            cursor.execute(_END_IDLE_SESSIONS)
            cursor.execute(_OTHER_SESSIONS)
            return bool(cursor.fetchone() == (0,))

        wait_until(are_gone, "the other sessions end")
    connection.close()


def database_time() -> datetime:
    """Return the time by the clock that all of our rows are dated with."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    assert isinstance(now, datetime)
    return now
