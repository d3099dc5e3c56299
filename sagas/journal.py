"""The journal: the only writer of attempts, and what their rows mean."""

from collections.abc import Iterable, Sequence
from typing import Final

from sagas.bulk_sql import Change, Insert, Update, write
from sagas.definition import Remote, Saga, Step, Work
from sagas.messages import CallResult
from sagas.models import Direction, Outcome, SagaRun, StepAttempt

RUN_FIELDS: Final = (
    "status",
    "step",
    "attempts",
    "tries",
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
    "ended_at",
)
SETTLED_FIELDS: Final = ("outcome", "output", "error", "detail", "not_before", "ended_at")

ONE_CLAIM: Final = ("run", "fence")
"""What names an attempt: each claim raises its run's fence."""


def keep(
    *,
    started: Sequence[StepAttempt],
    settled: Sequence[StepAttempt],
    runs: Sequence[SagaRun],
    extra_changes: Sequence[Change],
) -> None:
    """Write what a phase has decided, and ``extra_changes`` with it, in one statement under its locks."""
    write(
        *extra_changes,
        Insert(started),
        Update(settled, SETTLED_FIELDS, by=ONE_CLAIM),
        Update(runs, RUN_FIELDS),
    )


def note_stale_result(result: CallResult) -> None:
    """Keep what a fenced-off worker heard, without acting on it.

    An attempt that is settled is left as it is: its worker may only have missed the news that its
    own commit succeeded.
    """
    told = f"answered too late: {result.outcome} {result.error} {result.detail}".strip()
    claim = result.claim
    StepAttempt.objects.filter(run=claim.run_id, fence=claim.fence, outcome=Outcome.LOST).update(
        output=result.output, detail=told
    )


def work_attempted(saga: Saga | None, step: str, direction: str) -> tuple[str, Work | None]:
    """Return what the attempts with this step and direction were at: its own name, and its work.

    What ``saga`` does not have (any more) goes by the name of its step, and its work is unknown.
    """
    is_back = direction == Direction.COMPENSATING
    known = next((each for each in saga.steps if each.name == step), None) if saga else None
    if known is None:
        return (f"undo of {step}" if is_back else step), None
    return (
        (known.compensation_name, known.compensating_action)
        if is_back
        else (known.name, known.action)
    )


def pending_compensations(
    saga: Saga, records: Sequence[StepAttempt]
) -> dict[Step, StepAttempt | None]:
    """Return the steps of one run that must still be undone, last step first.

    Each comes with the latest attempt at its undo, if there was one. ``records`` are all rows of
    the run, oldest first.
    """
    pending: dict[Step, StepAttempt | None] = {}
    for step in reversed(saga.steps):
        if step.compensating_action is None:
            continue
        own = [each for each in records if each.step == step.name]
        undos = [each for each in own if each.direction == Direction.COMPENSATING]
        if any(each.outcome == Outcome.DONE for each in undos):
            continue
        if _left_something_behind(step, (each for each in own if each not in undos)):
            pending[step] = undos[-1] if undos else None
    return pending


def _left_something_behind(step: Step, attempts: Iterable[StepAttempt]) -> bool:
    """Whether an effect of ``step`` may exist.

    A remote step that was only started, or that was refused, counts too: its answer may have been
    lost, and a declined PaymentIntent can still be paid until it is cancelled.
    """
    if isinstance(step.action, Remote):
        return any(True for _ in attempts)
    return any(each.outcome == Outcome.DONE for each in attempts)
