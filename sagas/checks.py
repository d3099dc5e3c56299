"""System checks: refuse to deploy code that does not have the definitions of live runs."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from sagas import registry
from sagas.models import LIVE, SagaRun
from sagas.rehearsal import unknown_place


@register(Tags.database)
def runs_in_flight_have_their_definition(
    *, databases: Sequence[str] | None = None, **_: Any
) -> Iterable[CheckMessage]:
    """Report live runs whose saga, version, step or wait is not in this code.

    ``manage.py check --database default`` runs it, and so does every ``migrate`` before it starts.
    """
    for alias in databases or ():
        if SagaRun._meta.db_table not in connections[alias].introspection.table_names():  # noqa: SLF001 - documented API
            continue
        live = SagaRun.objects.using(alias).filter(status__in=LIVE)
        places = live.values_list("saga", "version", "step", "waits_for").distinct()
        for name, version, step, waits_for in places:
            if not _is_known(name, version, step, waits_for):
                wait = f", waiting for {waits_for}," if waits_for else ""
                yield Error(
                    f"runs of {name} version {version} are in flight at {step or 'their compensations'}"
                    f"{wait or ','} and this code does not know it",
                    hint="Keep the old definition registered until its last run has ended, or move its"
                    " runs. `manage.py sagas rehearse` lists all runs that this code cannot advance.",
                    id="sagas.E001",
                )


def _is_known(name: str, version: int, step: str, waits_for: str) -> bool:
    saga = registry.find(name, version)
    return saga is not None and not unknown_place(saga, step, waits_for)
