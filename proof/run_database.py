"""The database of a prover: cloned once, and restored to the template's rows before each run."""

from typing import Any, Final
from urllib.parse import urlsplit

import psycopg

_COPY_ROWS: Final = """
    DO $$
    DECLARE name text; has_rows boolean;
    BEGIN
        CREATE SCHEMA template_rows;
        FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
            EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', name) INTO has_rows;
            IF has_rows THEN
                EXECUTE format('CREATE TABLE template_rows.%I AS TABLE public.%I', name, name);
            END IF;
        END LOOP;
    END $$
"""

_STATEMENTS: Final = """
    SELECT CASE
        WHEN to_regclass(format('template_rows.%I', tablename)) IS NULL
            THEN format('DELETE FROM public.%I;', tablename)
        ELSE format(
            'IF EXISTS ((SELECT t::text FROM public.%1$I t EXCEPT ALL SELECT t::text FROM template_rows.%1$I t)'
            ' UNION ALL (SELECT t::text FROM template_rows.%1$I t EXCEPT ALL SELECT t::text FROM public.%1$I t))'
            ' THEN DELETE FROM public.%1$I; INSERT INTO public.%1$I OVERRIDING SYSTEM VALUE TABLE template_rows.%1$I;'
            ' END IF;', tablename)
        END
    FROM pg_tables WHERE schemaname = 'public'
    UNION ALL
    SELECT format('PERFORM setval(%L, %s, %L);', format('%I.%I', schemaname, sequencename),
                  coalesce(last_value, start_value), last_value IS NOT NULL)
    FROM pg_sequences WHERE schemaname = 'public'
"""
"""Builds the statements that restore each table and each sequence. Every run changes a few tables;
those that have rows in the template are compared first, because most of them never change."""

_END_SESSIONS: Final = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


class RunDatabase:
    """One prover's database. Every run finds exactly the template's rows and sequences in it."""

    def __init__(self, address: str, *, template: str) -> None:
        """Clone the database ``template`` to ``address``; drop what is there."""
        name = urlsplit(address).path.lstrip("/")
        server = urlsplit(address)._replace(path="/postgres").geturl()
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        self._connection = psycopg.connect(address, autocommit=True)
        self._prepare_restore()

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Execute a query without the application's code, and return its rows."""
        return self._connection.execute(query, parameters or None).fetchall()

    def change(self, statement: str, *parameters: object) -> None:
        """Execute a statement that returns no rows."""
        self._connection.execute(statement, parameters or None)

    def restore(self) -> None:
        """End the sessions of the last run, and undo all that it changed.

        A session outlives its process when that was killed, and may still commit. So all sessions end
        first. Foreign keys and triggers do not apply, because each table gets its rows of the template.
        """
        self.rows(_END_SESSIONS)
        with self._connection.transaction():
            self.change("SET LOCAL session_replication_role = replica")
            self.change("CALL template_rows.restore()")

    def close(self) -> None:
        self._connection.close()

    def _prepare_restore(self) -> None:
        """Copy the template's rows, and store the statements of ``restore``, whose plans are kept."""
        self.change(_COPY_ROWS)
        statements = "\n".join(statement for (statement,) in self.rows(_STATEMENTS))
        self.change(
            "CREATE PROCEDURE template_rows.restore() LANGUAGE plpgsql"
            f" AS $restore$ BEGIN {statements} END $restore$"
        )
