"""Rehearses all live runs with this code, in batches, without changing a row.

Most of the runs that wait are equal in everything that decides. So the database groups each batch by
it, and the engine decides once for each group.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection, transaction

from clock.now import now
from sagas import registry
from sagas.definition import Saga
from sagas.journal import LAST_ATTEMPTS
from sagas.models import RunStatus
from sagas.queries.versions import count_by_version
from sagas.rehearsal import LiveRun, Rehearsed, rehearse
from sagas.run_state import Moment, RunState, StepHistory

BATCH: Final = 5_000
"""How many runs are read in one transaction."""

MAX_EXAMPLES: Final = 3


@dataclass(slots=True)
class RehearsedRuns:
    """The live runs of one version, at one step, with which this code would do the same."""

    saga: str
    version: int
    status: str
    step: str
    result: Rehearsed
    runs: int = 0
    examples: list[UUID] = field(default_factory=list)


class EqualRuns(NamedTuple):
    """The runs of a batch that are equal in everything that decides what they do next."""

    run: LiveRun
    runs: int
    examples: list[UUID]
    last: UUID


def rehearse_all() -> list[RehearsedRuns]:
    """Return what this code would do with all live runs, grouped, by saga, version and step."""
    moment = Moment(now(), jitter=0)
    groups: dict[tuple[str, int, str, str, Rehearsed], RehearsedRuns] = {}
    for name, version in count_by_version(limit=1):
        saga = registry.find(name, version)
        for equal in _runs_of(name, version, saga, moment.at):
            state = equal.run.state
            key = (name, version, str(state.status), state.step, rehearse(saga, equal.run, moment))
            group = groups.setdefault(key, RehearsedRuns(*key))
            group.runs += equal.runs
            group.examples = sorted([*group.examples, *equal.examples])[:MAX_EXAMPLES]
    return [groups[key] for key in sorted(groups)]


def _runs_of(name: str, version: int, saga: Saga | None, at: datetime) -> Iterator[EqualRuns]:
    """Yield the live runs of one version, in batches in the order of their ids."""
    last = UUID(int=0)
    while batch := _batch(name, version, saga, at, last):
        yield from batch
        last = max(equal.last for equal in batch)


def _batch(name: str, version: int, saga: Saga | None, at: datetime, last: UUID) -> list[EqualRuns]:
    values: dict[str, Any] = {
        "saga": name,
        "version": version,
        "steps": [step.name for step in saga.steps] if saga else [],
        "at": at,
        "last": last,
        "batch": BATCH,
        "examples": MAX_EXAMPLES,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        cursor.execute(_EQUAL_RUNS, values)
        return [_equal_runs(row, at) for row in cursor.fetchall()]


def _equal_runs(row: tuple[Any, ...], at: datetime) -> EqualRuns:
    state, history, unknown, *counted = row
    return EqualRuns(_live_run(json.loads(state), json.loads(history), unknown, at), *counted)


def _live_run(
    state: dict[str, Any], history: dict[str, list[Any]], unknown: list[str], at: datetime
) -> LiveRun:
    def time(is_ahead: bool | None) -> datetime | None:  # noqa: FBT001 - a column
        return None if is_ahead is None else at + timedelta(hours=is_ahead)

    state["status"] = RunStatus(state["status"])
    for name in ("leased_until", "not_before", "waiting_since", "waiting_until"):
        state[name] = time(state[name])
    for last in history.values():
        last[-2:] = map(time, last[-2:])
    histories = {step: StepHistory(*last) for step, last in history.items()}
    return LiveRun(RunState(**state), histories, frozenset(unknown))


_EQUAL_RUNS: Final = f"""
    WITH live AS MATERIALIZED (
        SELECT id, jsonb_build_object(
            'status', status, 'step', step, 'attempt_count', attempt_count,
            'retry_count', retry_count, 'tries', tries, 'reason', reason,
            'waits_for', waits_for, 'waiting_then', waiting_then,
            'is_compensation_requested', compensation_requested_at IS NOT NULL,
            'is_paused', paused_at IS NOT NULL,
            'leased_until', leased_until > %(at)s, 'not_before', not_before > %(at)s,
            'waiting_since', waiting_since > %(at)s, 'waiting_until', waiting_until > %(at)s
        ) AS state
        FROM sagas_sagarun
        WHERE saga = %(saga)s AND version = %(version)s AND status IN ('running', 'compensating')
          AND id > %(last)s
        ORDER BY id LIMIT %(batch)s
    ), last (id, step, outcome, compensation_outcome, error, number, tries, not_before, first_at) AS (
        {LAST_ATTEMPTS.replace("%s", "%(steps)s").format(runs="(SELECT id FROM live)")}
    ), histories AS (
        SELECT id, jsonb_object_agg(step, jsonb_build_array(
            outcome, compensation_outcome, error, number, tries,
            not_before > %(at)s, first_at > %(at)s)) AS history
        FROM last GROUP BY id
    ), unknown AS (
        SELECT run_id AS id, array_agg(DISTINCT step ORDER BY step) AS steps
        FROM sagas_stepattempt
        WHERE run_id IN (SELECT id FROM live) AND step <> ALL(%(steps)s::text[])
        GROUP BY run_id
    )
    SELECT state, coalesce(history, '{{}}') AS history, coalesce(unknown.steps, '{{}}') AS unknown,
           count(*), (array_agg(id ORDER BY id))[:%(examples)s], (array_agg(id ORDER BY id DESC))[1]
    FROM live LEFT JOIN histories USING (id) LEFT JOIN unknown USING (id)
    GROUP BY 1, 2, 3
"""  # noqa: S608 - our own text
"""Of the times it keeps only whether they have passed, and no texts: more runs are equal then."""
