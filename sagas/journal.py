"""The journal: the only writer of attempts, and the meaning of their rows."""

from collections.abc import Sequence
from typing import Final

from sagas.bulk_sql import Change, Insert, Update, write
from sagas.definition import Remote, Saga, Step, Work
from sagas.messages import CallResult
from sagas.models import Direction, Outcome, SagaRun, StepAttempt

RUN_FIELDS: Final = (
    "status",
    "step",
    "attempt_count",
    "retry_count",
    "fence",
    "leased_until",
    "not_before",
    "wake_at",
    "redispatch_count",
    "reason",
    "reason_detail",
    "needs_attention",
    "attention_reason",
    "paused_at",
    "pause_reason",
    "ended_at",
)
SETTLED_FIELDS: Final = ("outcome", "output", "error", "detail", "not_before", "ended_at")

ATTEMPT_KEY: Final = ("run", "fence")
"""The key of an attempt: each claim raises its run's fence."""


def write_phase(
    *,
    started: Sequence[StepAttempt],
    settled: Sequence[StepAttempt],
    runs: Sequence[SagaRun],
    extra_changes: Sequence[Change],
) -> None:
    """Write a phase's decisions and ``extra_changes`` in one statement, under the phase's locks."""
    write(
        *extra_changes,
        Insert(started),
        Update(settled, SETTLED_FIELDS, by=ATTEMPT_KEY),
        Update(runs, RUN_FIELDS),
    )


def note_stale_result(result: CallResult) -> None:
    """Note a result that came after another worker took the run over. Nothing else changes.

    The note is written on the result's own attempt, and only if that is lost. A settled attempt stays
    as it is: its worker may have missed that its own commit succeeded.
    """
    note = f"answered too late: {result.outcome} {result.error} {result.detail}".strip()
    claim = result.claim
    StepAttempt.objects.filter(run=claim.run_id, fence=claim.fence, outcome=Outcome.LOST).update(
        output=result.output, detail=note
    )


def name_and_work(saga: Saga | None, step: str, direction: str) -> tuple[str, Work | None]:
    """Return the name and the definition of a step's action or, by direction, its compensation.

    For a step that ``saga`` does not have (any more), returns a name made from the step's, and None.
    """
    is_compensating = direction == Direction.COMPENSATING
    known = next((known for known in saga.steps if known.name == step), None) if saga else None
    if known is None:
        return (f"compensation of {step}" if is_compensating else step), None
    if is_compensating:
        return known.compensation_name, known.compensating_action
    return known.name, known.action


def pending_compensations(
    saga: Saga, attempts: Sequence[StepAttempt]
) -> dict[Step, StepAttempt | None]:
    """Return the steps of one run that must still be compensated, last step first.

    Each comes with the latest attempt at its compensation; None without one. ``attempts`` are all
    rows of the run, oldest first.
    """
    pending: dict[Step, StepAttempt | None] = {}
    for step in reversed(saga.steps):
        if step.compensating_action is None:
            continue
        own = [attempt for attempt in attempts if attempt.step == step.name]
        forward = [attempt for attempt in own if attempt.direction == Direction.FORWARD]
        compensations = [attempt for attempt in own if attempt.direction == Direction.COMPENSATING]
        if any(attempt.outcome == Outcome.DONE for attempt in compensations):
            continue
        if _may_have_effect(step, forward):
            pending[step] = compensations[-1] if compensations else None
    return pending


def _may_have_effect(step: Step, attempts: Sequence[StepAttempt]) -> bool:
    """Return whether an effect of ``step`` may exist.

    Any attempt at a remote step counts. The result of a started one may have been lost, and a
    declined payment can still be paid until it is cancelled.
    """
    if isinstance(step.action, Remote):
        return bool(attempts)
    return any(attempt.outcome == Outcome.DONE for attempt in attempts)
