"""Marks a database as the sandbox's own, so that its clock may be moved.

The application moves the clock of a database with this mark only; see ``clock/moving.py``.
"""

from collections.abc import Sequence
from typing import Final

from django.db import connection, transaction

_TABLE: Final = """
    CREATE SCHEMA IF NOT EXISTS sandbox;
    CREATE TABLE IF NOT EXISTS sandbox.clock (
        is_only_row boolean PRIMARY KEY DEFAULT true CHECK (is_only_row),
        moved_by interval NOT NULL DEFAULT '0',
        stopped_at timestamptz,
        services text[] NOT NULL,
        server bigint NOT NULL,
        database oid NOT NULL
    )
"""

_ROW: Final = """
    INSERT INTO sandbox.clock (services, server, database)
    SELECT %s, system_identifier, (SELECT oid FROM pg_database WHERE datname = current_database())
    FROM pg_control_system()
    ON CONFLICT (is_only_row) DO UPDATE
    SET services = excluded.services, server = excluded.server, database = excluded.database
"""


@transaction.atomic
def mark_database(services: Sequence[str]) -> None:
    """Mark the database, which this program has created itself. Repeating keeps how far it was moved.

    ``services`` are the addresses at which the sandbox's other services move their clocks.
    """
    with connection.cursor() as cursor:
        cursor.execute(_TABLE)
        cursor.execute(_ROW, [list(services)])
