"""The runs that wait, written and read by SQL: one statement for any number of them."""

import math
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import psycopg

TIMER: Final = "bench_timer"
SIGNAL: Final = "bench_signal"
"""The names of the benchmark's sagas, and of their only steps."""

_INSERT: Final = """
INSERT INTO sagas_sagarun (id, saga, version, key, subject_id, correlation_id, input, status, step,
    attempt_count, retry_count, fence, redispatch_count, wake_at, waits_for, waiting_since,
    waiting_until, reason, reason_detail, actor, needs_attention, attention_reason, pause_reason)
SELECT id, %(saga)s, 1, id, id, id, jsonb_build_object('until', until), 'running', %(saga)s,
    0, 0, 0, 0, until, %(saga)s, clock_now(),
    until, '', '', '', false, '', ''
FROM (
    SELECT uuidv7() AS id, %(first)s::timestamptz + n * %(seconds)s * interval '1 second' AS until
    FROM generate_series(0, %(count)s - 1) AS n
) AS new
"""

_LATENESS: Final = """
SELECT extract(epoch FROM attempt.ended_at - (run.input ->> 'until')::timestamptz)::float8
FROM sagas_sagarun AS run LEFT JOIN sagas_stepattempt AS attempt ON attempt.run_id = run.id
WHERE run.saga = %(saga)s AND (run.input ->> 'until')::timestamptz >= %(start)s
  AND (run.input ->> 'until')::timestamptz < %(end)s
"""

_ENDED: Final = """
SELECT run.subject_id::text, extract(epoch FROM attempt.ended_at)::float8
FROM sagas_sagarun AS run JOIN sagas_stepattempt AS attempt ON attempt.run_id = run.id
WHERE run.subject_id = ANY(%s::uuid[])
"""

_DELETE: Final = """
BEGIN;
SET LOCAL session_replication_role = replica;
DELETE FROM sagas_sentsignal WHERE run_id IN (SELECT id FROM sagas_sagarun WHERE saga LIKE 'bench%');
DELETE FROM sagas_stepattempt WHERE run_id IN (SELECT id FROM sagas_sagarun WHERE saga LIKE 'bench%');
DELETE FROM sagas_sagarun WHERE saga LIKE 'bench%';
COMMIT
"""
"""In a session without foreign keys' triggers, which would look into five tables for each row."""


class Spread(NamedTuple):
    """Deadlines: the first one, and the seconds from each to the next."""

    first: datetime
    seconds: float

    def between(self, moment: datetime) -> datetime:
        """Return the middle between two deadlines, before the first of those after ``moment``."""
        passed = max(math.ceil((moment - self.first).total_seconds() / self.seconds), 0)
        return self.first + timedelta(seconds=(passed - 0.5) * self.seconds)


def database_time(session: psycopg.Connection) -> datetime:
    """Return the time by the clock of runs and orders."""
    [(moment,)] = session.execute("SELECT clock_now()").fetchall()
    found: datetime = moment
    return found


def insert_waiting(session: psycopg.Connection, saga: str, count: int, spread: Spread) -> None:
    """Insert runs that wait at the only step of a saga. Statistics and visibility are up to date then."""
    values = {"saga": saga, "count": count, "first": spread.first, "seconds": spread.seconds}
    session.execute(_INSERT, values)
    settle(session)


def delete_waiting(session: psycopg.Connection) -> None:
    """Delete all runs of the benchmark's sagas, with their attempts and signals."""
    for statement in _DELETE.split(";"):
        session.execute(statement.encode())
    settle(session)


def settle(session: psycopg.Connection) -> None:
    """Do what autovacuum and the checkpointer would do later, in the middle of a measurement."""
    session.execute("VACUUM (ANALYZE) sagas_sagarun, sagas_stepattempt, sagas_sentsignal")
    session.execute("CHECKPOINT")


def lateness(session: psycopg.Connection, start: datetime, end: datetime) -> list[float | None]:
    """Return how late each timer with a deadline from ``start`` to ``end`` fired, in seconds.

    None is a timer that has not fired.
    """
    values = {"saga": TIMER, "start": start, "end": end}
    return [late for (late,) in session.execute(_LATENESS, values)]


def waiting_subjects(session: psycopg.Connection, saga: str, count: int) -> list[str]:
    """Return subjects whose runs wait at a saga's step."""
    found = session.execute(
        "SELECT subject_id::text FROM sagas_sagarun WHERE waits_for = %s LIMIT %s", (saga, count)
    )
    return [subject_id for (subject_id,) in found]


def ended_at(session: psycopg.Connection, subject_ids: list[str]) -> dict[str, float]:
    """Return when the attempt of each of these runs ended, by the machine's clock in seconds."""
    return dict(session.execute(_ENDED, (subject_ids,)).fetchall())
