"""Rehearses all live runs with this code, in batches, without changing a row."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from django.db import connection, transaction

from clock.now import now
from sagas import journal, registry
from sagas.bulk_sql import select
from sagas.models import SagaRun
from sagas.queries.versions import count_by_version
from sagas.rehearsal import LiveRun, Rehearsed, rehearse
from sagas.run_context import state_of
from sagas.run_state import Moment

BATCH: Final = 1_000
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


def rehearse_all() -> list[RehearsedRuns]:
    """Return what this code would do with all live runs, grouped, by saga, version and step."""
    moment = Moment(now(), jitter=0)
    groups: dict[tuple[str, int, str, str, Rehearsed], RehearsedRuns] = {}
    for name, version in count_by_version(limit=1):
        for run, result in _rehearse_version(name, version, moment):
            key = (name, version, run.status, run.step, result)
            group = groups.setdefault(key, RehearsedRuns(*key))
            group.runs += 1
            if len(group.examples) < MAX_EXAMPLES:
                group.examples.append(run.pk)
    return [groups[key] for key in sorted(groups)]


def _rehearse_version(
    name: str, version: int, moment: Moment
) -> Iterator[tuple[SagaRun, Rehearsed]]:
    """Rehearse the live runs of one version, in the order of their ids."""
    last = UUID(int=0)
    while True:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION READ ONLY")
            runs = select(SagaRun, _LIVE_OF_VERSION, [name, version, last, BATCH])
            results = _rehearse_batch(name, version, runs, moment)
        yield from zip(runs, results, strict=True)
        if len(runs) < BATCH:
            return
        last = runs[-1].pk


def _rehearse_batch(
    name: str, version: int, runs: list[SagaRun], moment: Moment
) -> list[Rehearsed]:
    saga = registry.find(name, version)
    if saga is None or not runs:
        return [rehearse(None, LiveRun(state_of(run)), moment) for run in runs]
    ids = [run.pk for run in runs]
    histories = journal.histories_of(saga, ids)
    unknown = journal.unknown_steps(saga, ids)
    return [
        rehearse(
            saga, LiveRun(state_of(run), histories[run.pk], unknown.get(run.pk, set())), moment
        )
        for run in runs
    ]


_LIVE_OF_VERSION: Final = """
    WHERE saga = %s AND version = %s AND status IN ('running', 'compensating') AND id > %s
    ORDER BY id LIMIT %s
"""
