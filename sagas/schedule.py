"""Decides, after a phase, when the sweep looks at a run and what its worker does next."""

from datetime import datetime, timedelta
from typing import Final

from sagas.definition import Link
from sagas.messages import Continue, NextAction, RetryAfter, Stop
from sagas.models import MESSAGE_GRACE, RunStatus
from sagas.run_context import RunContext

RETRY_MESSAGE_LEAD: Final = timedelta(seconds=2)
"""A retry's own message arrives this long before the sweep looks, so that the sweep sends no second one."""


def is_finished_here(context: RunContext, link: Link) -> bool:
    """Return whether this forward link has nothing left to do, because the run compensates."""
    return context.run.status == RunStatus.COMPENSATING and not link.is_compensating


def next_wake_at(context: RunContext, link: Link, now: datetime) -> datetime:
    """Return when the sweep looks at the run, unless a worker does before: after its lease or back-off."""
    run = context.run
    if context.claim is not None and run.leased_until is not None:
        return run.leased_until
    not_before = _next_try(context, link)
    return not_before + RETRY_MESSAGE_LEAD if not_before else now + MESSAGE_GRACE


def next_action(context: RunContext, link: Link, now: datetime) -> NextAction:
    """Return what the worker that advances the run does next."""
    if context.claim is not None:
        return context.claim
    if not context.has_changed or not context.run.is_live or is_finished_here(context, link):
        return Stop()
    if (not_before := _next_try(context, link)) is not None:
        return RetryAfter(max(not_before - now, timedelta()))
    if context.step is not None and context.step not in link.steps:
        return Continue()
    return Stop()


def _next_try(context: RunContext, link: Link) -> datetime | None:
    """Return when the run's back-off ends; None if it has none."""
    if not link.is_compensating:
        return context.run.not_before
    ends = [last.not_before for last in context.pending.values() if last and last.not_before]
    return min(ends) if ends and len(ends) == len(context.pending) else None
