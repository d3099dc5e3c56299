"""The SQL function ``clock_now()``: its text in production, and its text where the clock was moved."""

from typing import Final

from django.db import connections

PRODUCTION_BODY: Final = "SELECT statement_timestamp()"
"""PostgreSQL replaces a call by this text when it plans a statement, so that the call costs nothing."""

MOVED_BODY: Final = """
    SELECT coalesce(stopped_at, statement_timestamp() + moved_by) FROM sandbox.clock
"""
"""The table exists only where a sandbox or the tests made it."""


def definition(body: str) -> str:
    """Return the statement that creates or replaces the function.

    PostgreSQL inlines it only if it stays STABLE and gets no SET clause.
    """
    return (
        "CREATE OR REPLACE FUNCTION clock_now() RETURNS timestamptz"
        f" LANGUAGE sql STABLE PARALLEL SAFE AS $${body}$$"
    )


def body_in(alias: str) -> str | None:
    """Return the function's text in a database; None if the database has no such function."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT prosrc FROM pg_proc WHERE oid = to_regprocedure('clock_now()')")
        found = cursor.fetchone()
    return None if found is None else str(found[0])
