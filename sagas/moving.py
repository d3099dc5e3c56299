"""Moves runs to a newer version of their saga, where they wait or rest at a step.

A run keeps its place, its deadline, its retries and its flag. Its journal gets the step names of the
new version, so that its effects are found and compensated; ``VersionMove`` keeps the old names.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from django.db import transaction

from sagas import journal, registry
from sagas.dispatch import dispatch
from sagas.errors import UnknownSaga
from sagas.models import LIVE, SagaRun, SentSignal, VersionMove
from sagas.queries.versions import count_by_version
from sagas.run_context import state_of
from sagas.takeover import Candidate, Takeover, takeover_of

log = logging.getLogger(__name__)

BATCH: Final = 200
"""How many runs are moved in one transaction."""


@dataclass(frozen=True, slots=True)
class StaysReason:
    """Why runs of one version were not moved."""

    saga: str
    version: int
    step: str
    reason: str


@dataclass(slots=True)
class MoveReport:
    """What a move did. Runs that have the newest version already, or have ended, are in neither."""

    moved: list[UUID] = field(default_factory=list)
    stayed: dict[StaysReason, list[UUID]] = field(default_factory=dict)

    def add(self, other: "MoveReport") -> None:
        self.moved += other.moved
        for reason, run_ids in other.stayed.items():
            self.stayed.setdefault(reason, []).extend(run_ids)


def move_to_newest(run_ids: Sequence[UUID], *, dry_run: bool = False) -> MoveReport:
    """Move these live runs to the newest version of their sagas, where that takes them over.

    A run moves only if it waits, or rests at a step without a worker. The new version must have the
    step, and wait for the same. It must compensate each step that may have had an effect. Other
    runs stay, and the report says why. Repeating changes nothing; of concurrent calls one moves a run.
    With ``dry_run`` it locks and changes nothing, and reports what a move would do.
    """
    report = MoveReport()
    with transaction.atomic():
        rows = SagaRun.objects.all() if dry_run else SagaRun.objects.select_for_update(no_key=True)
        runs = rows.filter(pk__in=run_ids, status__in=LIVE).order_by("pk")
        for (saga, version), group in _by_version(runs).items():
            report.add(_move_group(saga, version, group, dry_run=dry_run))
    return report


def move_all_to_newest(saga: str, *, limit: int | None = None, dry_run: bool = False) -> MoveReport:
    """Move up to ``limit`` live runs of ``saga`` to its newest version, in batches.

    Each batch has a transaction of its own. Raises UnknownSaga if no version is registered.
    """
    report, newest = MoveReport(), registry.newest(saga).version
    for run_ids in _ids_of_older_versions(saga, newest):
        rest = run_ids
        while rest:
            left = len(rest) if limit is None else limit - len(report.moved)
            if left <= 0:
                return report
            report.add(move_to_newest(rest[:left], dry_run=dry_run))
            rest = rest[left:]
    return report


def _ids_of_older_versions(saga: str, newest: int) -> Iterator[list[UUID]]:
    """Yield the ids of the live runs of all older versions, in batches, by version and id."""
    versions = [version for name, version in count_by_version(limit=1) if name == saga]
    for version in [version for version in versions if version < newest]:
        runs = SagaRun.objects.filter(saga=saga, version=version, status__in=LIVE).order_by("pk")
        ids = runs.values_list("pk", flat=True)
        batch = list(ids[:BATCH])
        while batch:
            yield batch
            batch = list(ids.filter(pk__gt=batch[-1])[:BATCH])


def _by_version(runs: Iterable[SagaRun]) -> dict[tuple[str, int], list[SagaRun]]:
    groups: dict[tuple[str, int], list[SagaRun]] = defaultdict(list)
    for run in runs:
        groups[run.saga, run.version].append(run)
    return groups


def _move_group(saga: str, version: int, runs: list[SagaRun], *, dry_run: bool) -> MoveReport:
    """Move locked runs of one version."""
    report = MoveReport()
    try:
        old, new = registry.get(saga, version), registry.newest(saga)
    except UnknownSaga as error:
        for run in runs:
            _stays(report, run, str(error))
        return report
    if new.version <= version:
        return report
    places: dict[Takeover, list[SagaRun]] = defaultdict(list)
    histories = journal.histories_of(old, [run.pk for run in runs])
    signals = _untaken_signals(runs)
    for run in runs:
        candidate = Candidate(old, state_of(run), histories[run.pk], signals[run.pk])
        place = _known_step(run, candidate) or takeover_of(candidate, new)
        if isinstance(place, str):
            _stays(report, run, place)
        else:
            report.moved.append(run.pk)
            places[place].append(run)
    if not dry_run:
        for place, moving in places.items():
            _write_move(moving, place, new.version, new.takes_over[version])
    return report


def _known_step(run: SagaRun, candidate: Candidate) -> str:
    """Return the reason why a run stays whose own version does not have its step; empty otherwise."""
    if not run.step or run.step in {step.name for step in candidate.saga.steps}:
        return ""
    return f"version {run.version} of this code has no step {run.step}"


def _stays(report: MoveReport, run: SagaRun, reason: str) -> None:
    key = StaysReason(run.saga, run.version, run.step, reason)
    report.stayed.setdefault(key, []).append(run.pk)


def _untaken_signals(runs: list[SagaRun]) -> Mapping[UUID, set[str]]:
    found: defaultdict[UUID, set[str]] = defaultdict(set)
    sent = SentSignal.objects.filter(run__in=[run.pk for run in runs], taken_at__isnull=True)
    for run_id, name in sent.values_list("run", "name"):
        found[run_id].add(name)
    return found


def _write_move(
    runs: list[SagaRun], place: Takeover, version: int, renamed: Mapping[str, str]
) -> None:
    """Write the move of locked runs, and queue those that need not wait."""
    run_ids, old = [run.pk for run in runs], runs[0].version
    SagaRun.objects.filter(pk__in=run_ids).update(
        version=version, step=place.step, waits_for=place.waits_for
    )
    journal.rename_steps(run_ids, renamed)
    VersionMove.objects.bulk_create(
        VersionMove(run=run, from_version=old, to_version=version, renamed=dict(renamed))
        for run in runs
    )
    for run in runs:
        run.version, run.step, run.waits_for = version, place.step, place.waits_for
        # A message of the old version changes nothing any more.
        if not run.waits_for or run.nudge_count != run.nudges_seen:
            dispatch(run)
    log.info(
        "runs.moved",
        extra={"saga": runs[0].saga, "from": old, "to": version, "runs": len(runs)},
    )
