"""The test database beside Django's models: empty it, compare it, watch its locks, end sessions."""

from functools import cache
from typing import Final

from django.apps import apps
from django.contrib.sessions.models import Session
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

    Replaces Django's ``flush``. ``TRUNCATE`` makes new files for all 45 tables and their
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


def all_rows() -> dict[str, list[str]]:
    """Return all rows of all tables except sessions, to compare that nothing was written.

    A row is text that names its columns. One statement reads all tables: one for each of them
    takes twenty times as long.
    """
    rows: dict[str, list[str]] = {label: [] for label in _labels()}
    with connection.cursor() as cursor:
        cursor.execute(_select_everything())
        for label, row in cursor:
            rows[label].append(row)
    return rows


@cache
def _labels() -> dict[str, str]:
    """Return the table of each model, by the model's label."""
    models = apps.get_models(include_auto_created=True)
    return {model._meta.label: model._meta.db_table for model in models if model is not Session}


@cache
def _select_everything() -> str:
    selects = (
        f"SELECT '{label}' AS label, row_to_json(row)::text AS content FROM \"{table}\" AS row"  # noqa: S608 - names of our own tables
        for label, table in _labels().items()
    )
    return " UNION ALL ".join(selects) + " ORDER BY label, content"
