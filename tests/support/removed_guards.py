"""Guards taken away, one at a time, so that each race can be seen to be lost without its own."""

from dataclasses import replace
from typing import Any, TypeVar

import pytest
from django.db import models

from sagas import bulk_sql
from sagas.messages import CallResult
from sagas.models import SagaRun
from sagas.phase import Phase
from sagas.run_context import RunContext

M = TypeVar("M", bound=models.Model)


def without_row_locks(monkeypatch: pytest.MonkeyPatch, model: type[M]) -> None:
    """Rows of ``model`` are read as if they were locked, and are not."""
    objects = model._default_manager

    def read(*_: Any, **__: Any) -> models.QuerySet[M]:
        return objects.all()

    monkeypatch.setattr(objects, "select_for_update", read)
    text = bulk_sql._select

    def text_without_lock(
        read_model: type[models.Model],
        condition: str,
        lock: bool,  # noqa: FBT001 - the signature of what is replaced
        also: tuple[str, ...],
    ) -> str:
        return text(read_model, condition, lock and read_model is not model, also)

    monkeypatch.setattr(bulk_sql, "_select", text_without_lock)


def without_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes for a run finds no lease on it."""
    stand = Phase._context

    def stand_on_unleased(
        phase: Phase, run: SagaRun, replies: list[CallResult | None]
    ) -> RunContext:
        run.leased_until = None
        return stand(phase, run, replies)

    monkeypatch.setattr(Phase, "_context", stand_on_unleased)


def without_fences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answer passes for that of the run's present holder."""
    stand = Phase._context

    def stand_as_holder(phase: Phase, run: SagaRun, replies: list[CallResult | None]) -> RunContext:
        believed = [
            result and replace(result, claim=replace(result.claim, fence=run.fence))
            for result in replies
        ]
        return stand(phase, run, believed)

    monkeypatch.setattr(Phase, "_context", stand_as_holder)


def without_wishes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers do not see that a run was asked to turn back."""
    stand = Phase._context

    def stand_unasked(phase: Phase, run: SagaRun, replies: list[CallResult | None]) -> RunContext:
        run.compensation_requested_at = None
        return stand(phase, run, replies)

    monkeypatch.setattr(Phase, "_context", stand_unasked)
