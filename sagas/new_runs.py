"""Starts runs: the only module that inserts them."""

from collections.abc import Sequence
from typing import Final

from bulk_sql.statements import Change, Insert, write
from sagas import registry
from sagas.batch import NewRun
from sagas.definition import Saga
from sagas.dispatch import dispatch
from sagas.models import SagaRun

IF_NEW: Final = "ON CONFLICT (saga, key) DO NOTHING"


def start_new_runs(new_runs: Sequence[NewRun]) -> None:
    """Start these runs in the caller's transaction, in one statement; those that exist are left alone."""
    runs = [_row(registry.newest(new.saga), new) for new in new_runs]
    write(Insert(runs, IF_NEW))
    for run in runs:
        dispatch(run)


def insert_run(saga: Saga, new: NewRun, *extra_changes: Change) -> SagaRun | None:
    """Insert a run with ``extra_changes``, in one statement, and queue it after the commit.

    Returns None, without a run, if the saga has one with this key already.
    """
    run = _row(saga, new)
    if not write(*extra_changes, Insert([run], IF_NEW)):
        return None
    dispatch(run)
    return run


def _row(saga: Saga, new: NewRun) -> SagaRun:
    return SagaRun(
        saga=saga.name,
        version=saga.version,
        key=new.key or str(new.subject_id),
        subject_id=new.subject_id,
        correlation_id=new.correlation_id,
        parent_id=new.parent_id,
        input=new.input,
        step=saga.steps[0].name,
    )
