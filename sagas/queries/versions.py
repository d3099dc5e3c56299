"""Which versions of sagas still have live runs, where these are, and how many there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection
from django.db.models import Count, Min

from sagas import registry
from sagas.errors import UnknownSaga
from sagas.models import LIVE, SagaRun

MAX_COUNTED: Final = 10_000
"""``count_by_version`` counts no further, so that its cost does not grow with the runs that wait."""


@dataclass(frozen=True, slots=True)
class Place:
    """The live runs of one version that are at the same step, and wait for the same or do not wait."""

    status: str  # running, compensating
    step: str  # empty while they compensate
    waits_for: str  # empty while they do not wait
    runs: int
    oldest_at: datetime  # when the oldest was started


@dataclass(frozen=True, slots=True)
class LiveVersion:
    """One version of a saga, which this code has, or which has live runs."""

    saga: str
    version: int
    is_known: bool  # this code has its definition
    newest: int | None  # the newest version of this saga in this code; None if it has none
    places: Sequence[Place]

    @property
    def runs(self) -> int:
        return sum(place.runs for place in self.places)

    @property
    def oldest_at(self) -> datetime | None:
        return min((place.oldest_at for place in self.places), default=None)


def live_versions() -> list[LiveVersion]:
    """Return every version that this code has or that has live runs. It reads all live runs."""
    rows = (
        SagaRun.objects.filter(status__in=LIVE)
        .values_list("saga", "version", "status", "step", "waits_for")
        .annotate(runs=Count("pk"), oldest_at=Min("created_at"))
        .order_by("saga", "version", "-status", "step", "waits_for")
    )
    places = _no_runs()
    for saga, version, *place in rows:
        places.setdefault((saga, version), []).append(Place(*place))
    return [
        LiveVersion(saga, version, _is_known(saga, version), _newest(saga), places[saga, version])
        for saga, version in sorted(places)
    ]


def count_by_version(limit: int = MAX_COUNTED) -> dict[tuple[str, int], int]:
    """Count the live runs by saga and version, each at most up to ``limit``.

    Versions that this code has are counted also without runs. It reads the index of live runs, in as
    many steps as there are versions, and at most ``limit`` entries of each.
    """
    counts = dict.fromkeys(_no_runs(), 0)
    with connection.cursor() as cursor:
        cursor.execute(_COUNT_BY_VERSION, [limit])
        counts |= {(saga, version): runs for saga, version, runs in cursor.fetchall()}
    return dict(sorted(counts.items()))


def _no_runs() -> dict[tuple[str, int], list[Place]]:
    return {(saga.name, saga.version): [] for saga in registry.all_sagas()}


def _is_known(saga: str, version: int) -> bool:
    return registry.find(saga, version) is not None


def _newest(saga: str) -> int | None:
    try:
        return registry.newest(saga).version
    except UnknownSaga:
        return None


_COUNT_BY_VERSION: Final = """
    WITH RECURSIVE versions AS (
        (SELECT saga, version FROM sagas_sagarun WHERE status IN ('running', 'compensating')
         ORDER BY saga, version LIMIT 1)
        UNION ALL
        SELECT following.saga, following.version FROM versions CROSS JOIN LATERAL (
            SELECT saga, version FROM sagas_sagarun
            WHERE status IN ('running', 'compensating')
              AND (saga, version) > (versions.saga, versions.version)
            ORDER BY saga, version LIMIT 1
        ) AS following
    )
    SELECT saga, version, (
        SELECT count(*) FROM (
            SELECT FROM sagas_sagarun AS run
            WHERE status IN ('running', 'compensating')
              AND run.saga = versions.saga AND run.version = versions.version
            LIMIT %s
        ) AS counted
    ) FROM versions
"""
