"""Removes one guard of the engine, so that a test can show that its race is lost without it."""

from dataclasses import replace
from typing import Any, TypeVar

import pytest
from django.db import models

from bulk_sql import statements
from sagas.messages import CallResult
from sagas.models import SagaRun
from sagas.phase_rows import PhaseRows
from sagas.run_context import RunContext

M = TypeVar("M", bound=models.Model)


def without_row_locks(monkeypatch: pytest.MonkeyPatch, model: type[M]) -> None:
    """Read rows of ``model`` without the lock that the code asks for."""
    objects = model._default_manager

    def read(*_: Any, **__: Any) -> models.QuerySet[M]:
        return objects.all()

    monkeypatch.setattr(objects, "select_for_update", read)
    text = statements._select

    def text_without_lock(
        read_model: type[models.Model],
        condition: str,
        lock: bool,  # noqa: FBT001 - the signature of what is replaced
        also: tuple[str, ...],
    ) -> str:
        return text(read_model, condition, lock and read_model is not model, also)

    monkeypatch.setattr(statements, "_select", text_without_lock)


def without_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make each worker that begins with a run see it without a lease."""
    original = PhaseRows._context

    def context_without_lease(
        phase: PhaseRows, run: SagaRun, results: list[CallResult | None]
    ) -> RunContext:
        if not any(results):  # a worker with a result holds the lease itself
            run.leased_until = None
        return original(phase, run, results)

    monkeypatch.setattr(PhaseRows, "_context", context_without_lease)


def without_fences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make each worker accept the result of any attempt as that of the current one."""
    original = PhaseRows._context

    def context_of_holder(
        phase: PhaseRows, run: SagaRun, results: list[CallResult | None]
    ) -> RunContext:
        believed = [
            replace(result, claim=replace(result.claim, fence=run.fence))
            if result is not None and result.claim.fence != run.fence
            else result
            for result in results
        ]
        return original(phase, run, believed)

    monkeypatch.setattr(PhaseRows, "_context", context_of_holder)


def without_compensation_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make each worker overlook compensation requests."""
    original = PhaseRows._context

    def context_without_request(
        phase: PhaseRows, run: SagaRun, results: list[CallResult | None]
    ) -> RunContext:
        run.compensation_requested_at = None
        return original(phase, run, results)

    monkeypatch.setattr(PhaseRows, "_context", context_without_request)
