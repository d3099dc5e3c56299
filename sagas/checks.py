"""System checks: refuse to deploy code that does not have the definitions of live runs."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from sagas import registry
from sagas.models import LIVE, SagaRun


@register(Tags.database)
def runs_in_flight_have_their_definition(
    *, databases: Sequence[str] | None = None, **_: Any
) -> Iterable[CheckMessage]:
    """Report live runs whose saga, version or step is not in this code.

    ``manage.py check --database default`` runs it, and so does every ``migrate`` before it starts.
    """
    for alias in databases or ():
        if SagaRun._meta.db_table not in connections[alias].introspection.table_names():  # noqa: SLF001 - documented API
            continue
        live = SagaRun.objects.using(alias).filter(status__in=LIVE)
        for name, version, step in live.values_list("saga", "version", "step").distinct():
            if not _is_known(name, version, step):
                yield Error(
                    f"runs of {name} version {version} are in flight at {step or 'their compensations'},"
                    " and this code does not know it",
                    hint="Keep the old definition registered until its last run has ended.",
                    id="sagas.E001",
                )


def _is_known(name: str, version: int, step: str) -> bool:
    saga = registry.find(name, version)
    return saga is not None and (not step or step in {known.name for known in saga.steps})
