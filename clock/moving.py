"""Moves the clock of a sandbox or of tests, for all processes at once.

The database itself says whether it may be moved: a sandbox and the tests create the table
``sandbox.clock`` in a database of their own. Its row names that database and its server, so that a
copy of the table in another database, as from a dump, does not count.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction

from clock.function import MOVED_BODY, PRODUCTION_BODY, body_in, definition
from clock.now import now

_MARK: Final = """
    SELECT moved_by, services FROM sandbox.clock
    WHERE server = (SELECT system_identifier FROM pg_control_system())
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class ClockFixed(Exception):
    """This is not the database of a sandbox or a test: its clock is the real one, and stays so."""

    def __init__(self) -> None:
        super().__init__("this database is not a sandbox's: its clock cannot be moved")


class TimeInThePast(Exception):
    """The clock moves forward only."""

    def __init__(self, at: datetime) -> None:
        super().__init__(f"the clock shows {at.isoformat()} already, and moves forward only")


@dataclass(frozen=True, slots=True)
class SandboxClock:
    """The mark of a sandbox: how far its clock is ahead of the real time, and what else moves."""

    moved_by: timedelta
    services: tuple[str, ...]
    """The addresses at which the sandbox's other services move their clocks."""


def sandbox_clock() -> SandboxClock:
    """Return the mark of this database. Raises ClockFixed if it has none."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('sandbox.clock') IS NOT NULL")
        if not cursor.fetchone()[0]:
            raise ClockFixed
        cursor.execute(_MARK)
        found = cursor.fetchone()
    if found is None:
        raise ClockFixed
    return SandboxClock(found[0], tuple(found[1]))


@transaction.atomic
def advance(duration: timedelta) -> None:
    """Move the clock forward. Raises ClockFixed, and TimeInThePast for a negative duration."""
    if duration < timedelta():
        raise TimeInThePast(now())
    _move(
        "moved_by = moved_by + %(by)s::interval, stopped_at = stopped_at + %(by)s::interval",
        by=str(duration),
    )


@transaction.atomic
def move_to(at: datetime) -> None:
    """Move the clock forward to a time. Raises ClockFixed, and TimeInThePast for an earlier time."""
    if at < now():
        raise TimeInThePast(now())
    _move(
        "moved_by = %(at)s - statement_timestamp(),"
        " stopped_at = CASE WHEN stopped_at IS NOT NULL THEN %(at)s END",
        at=at,
    )


@transaction.atomic
def stop() -> None:
    """Stop the clock: all statements have the same time until it moves. Raises ClockFixed.

    For tests that compare times exactly.
    """
    _move("stopped_at = coalesce(stopped_at, statement_timestamp() + moved_by)")


@transaction.atomic
def reset() -> None:
    """Return to the real time, which may be earlier. Raises ClockFixed."""
    sandbox_clock()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE sandbox.clock SET moved_by = '0', stopped_at = NULL")
        cursor.execute(definition(PRODUCTION_BODY))


def _move(change: str, **values: datetime | str) -> None:
    """Change the offset, and make the function add it.

    The row stays locked until the commit, so that two moves do not replace the function at once.
    """
    sandbox_clock()
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE sandbox.clock SET {change}", values)  # noqa: S608 - our own text
        if body_in(connection.alias) != MOVED_BODY:
            cursor.execute(definition(MOVED_BODY))
