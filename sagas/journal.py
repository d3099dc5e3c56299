"""The journal: the only writer of attempts, and the meaning of their rows."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import Case, CharField, Value, When

from bulk_sql.statements import Change, Insert, Update, write
from sagas import decision
from sagas.batch import Output
from sagas.definition import Saga
from sagas.messages import CallResult
from sagas.models import Direction, Outcome, SagaRun, StepAttempt
from sagas.run_context import COLUMNS
from sagas.run_state import StepHistory, StepProgress

_OTHER_FIELDS: Final = ("status", "fence", "wake_at", "paused_at", "pause_reason", "ended_at")
RUN_FIELDS: Final = (*COLUMNS, *_OTHER_FIELDS)
SETTLED_FIELDS: Final = ("outcome", "output", "error", "detail", "tries", "not_before", "ended_at")

HAS_RESULT: Final = (Outcome.DONE, Outcome.PROCEEDED)
"""The outcomes after which a run goes past its step, with an output."""

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
    StepAttempt.objects.filter(
        run=claim.run.run_id, fence=claim.fence, outcome=Outcome.LOST
    ).update(output=result.output, detail=note)


def look_at_once(run_ids: Sequence[UUID]) -> None:
    """Make every compensation of these runs that waits look again. One at a time can be claimed."""
    StepAttempt.objects.filter(
        run__in=run_ids,
        direction=Direction.COMPENSATING,
        outcome=Outcome.PENDING,
        not_before__isnull=False,
    ).update(not_before=None)


def pending_compensations(
    saga: Saga, run_ids: Sequence[UUID]
) -> dict[UUID, tuple[StepProgress, ...]]:
    """Return what each of these runs must still compensate, last step first."""
    return {
        run_id: decision.pending_compensations(saga, history)
        for run_id, history in histories_of(saga, run_ids).items()
    }


def histories_of(saga: Saga, run_ids: Sequence[UUID]) -> dict[UUID, dict[str, StepHistory]]:
    """Return the last attempts at each step of each of these runs, by step.

    Reads the last attempt at each step and at its compensation, however many there were.
    """
    histories: dict[UUID, dict[str, StepHistory]] = {run_id: {} for run_id in run_ids}
    with connection.cursor() as cursor:
        cursor.execute(_LAST_OF_RUNS, [list(run_ids), [step.name for step in saga.steps]])
        for run_id, step, *last in cursor.fetchall():
            histories[run_id][step] = StepHistory(*last)
    return histories


def rename_steps(run_ids: Sequence[UUID], renamed: Mapping[str, str]) -> None:
    """Give the attempts of these runs the new names of their steps. The caller has locked the runs."""
    if not renamed:
        return
    names = [When(step=old, then=Value(new)) for old, new in renamed.items()]
    attempts = StepAttempt.objects.filter(run__in=run_ids, step__in=list(renamed))
    attempts.update(step=Case(*names, output_field=CharField()))


def outputs_of(run_ids: Sequence[UUID], step: str) -> dict[UUID, Output]:
    """Return the result of ``step`` of each of these runs that has one."""
    passed = StepAttempt.objects.filter(
        run__in=run_ids,
        step=step,
        direction=Direction.FORWARD,
        outcome__in=HAS_RESULT,
    )
    return dict(passed.values_list("run_id", "output"))


LAST_ATTEMPTS: Final = """
    SELECT run_id, step, forward.outcome, coalesce(last.outcome, ''), coalesce(last.error, ''),
           coalesce(last.number, 0), coalesce(last.tries, 0), last.not_before, first.started_at
    FROM {runs} AS runs(run_id) CROSS JOIN unnest(%s::text[]) AS steps(step)
    CROSS JOIN LATERAL (
        SELECT outcome FROM sagas_stepattempt AS attempt
        WHERE attempt.run_id = runs.run_id AND attempt.step = steps.step AND direction = 'forward'
        ORDER BY fence DESC LIMIT 1
    ) AS forward
    LEFT JOIN LATERAL (
        SELECT outcome, error, number, tries, not_before FROM sagas_stepattempt AS attempt
        WHERE attempt.run_id = runs.run_id AND attempt.step = steps.step
          AND direction = 'compensating'
        ORDER BY fence DESC LIMIT 1
    ) AS last ON true
    LEFT JOIN LATERAL (
        SELECT started_at FROM sagas_stepattempt AS attempt
        WHERE attempt.run_id = runs.run_id AND attempt.step = steps.step
          AND direction = 'compensating'
        ORDER BY fence LIMIT 1
    ) AS first ON true
"""
"""The fields of StepHistory for each attempted step of each run in ``runs``, a set of their ids."""

_LAST_OF_RUNS: Final = LAST_ATTEMPTS.format(runs="unnest(%s::uuid[])")
