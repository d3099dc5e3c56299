"""Bugs in how runs are claimed, settled, compensated, queued and swept."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import payments.recording
from payments.models import Payment
from payments.states import PaymentStatus
from proof.seeded_bugs.patching import replace, replace_wherever_imported
from sagas import journal
from sagas import sweep as sweeping
from sagas.definition import Saga, Step
from sagas.dispatch import dispatch, publish, remaining_links
from sagas.forward import Forward
from sagas.messages import CallResult
from sagas.models import Direction, Outcome, RunStatus, SagaRun, StepAttempt
from sagas.phase_rows import PhaseRows
from sagas.run_context import RunContext
from sagas.run_state import StepProgress


def result_accepted_without_fence() -> None:
    """A stale result is accepted although another worker has taken the run over."""
    context_of = PhaseRows._context

    def set_status_unchecked(payment: Payment, status: PaymentStatus) -> None:
        payment.status = status

    def context_without_fence(
        self: PhaseRows, run: SagaRun, results: list[CallResult | None]
    ) -> RunContext:
        for result in filter(None, results):
            object.__setattr__(result.claim, "fence", run.fence)
            result.claim.attempt.fence = run.fence
            run.leased_until = run.leased_until or self.now
        return context_of(self, run, results)

    replace(PhaseRows, "_context", context_without_fence)
    replace(payments.recording, "_set_status", set_status_unchecked)


def attempt_recorded_after_call() -> None:
    """An attempt is recorded with its result, not before the call: a killed worker leaves no record."""
    write_phase = journal.write_phase

    def keep_ended_attempts(
        *, started: Sequence[StepAttempt], settled: Sequence[StepAttempt], **rest: Any
    ) -> None:
        ended = [attempt for attempt in started if attempt.outcome != Outcome.STARTED]
        write_phase(started=[*ended, *settled], settled=[], **rest)

    replace(journal, "write_phase", keep_ended_attempts)


def compensation_kept_in_memory() -> None:
    """A worker compensates only the steps that it remembers from its own memory."""
    new_attempt, pending_compensations = PhaseRows._new_attempt, journal.pending_compensations
    remembered: set[tuple[UUID, str]] = set()

    def record_and_remember(
        self: PhaseRows, context: RunContext, step: Step, outcome: Outcome
    ) -> StepAttempt:
        if self.direction == Direction.FORWARD:
            remembered.add((context.run.pk, step.name))
        return new_attempt(self, context, step, outcome)

    def only_remembered(
        saga: Saga, run_ids: Sequence[UUID]
    ) -> dict[UUID, tuple[StepProgress, ...]]:
        return {
            run_id: tuple(left for left in pending if (run_id, left.step) in remembered)
            for run_id, pending in pending_compensations(saga, run_ids).items()
        }

    replace(PhaseRows, "_new_attempt", record_and_remember)
    replace(journal, "pending_compensations", only_remembered)


def lease_by_worker_clock() -> None:
    """Leases follow the worker's clock, and the clock of an order's first worker is an hour fast."""
    context_of = PhaseRows._context
    skew: list[timedelta] = []

    def context_by_own_clock(
        self: PhaseRows, run: SagaRun, results: list[CallResult | None]
    ) -> RunContext:
        if not skew:
            skew.append(timedelta(hours=1) if run.fence == 0 else timedelta())
        self.now += skew[0]
        return context_of(self, run, results)

    replace(PhaseRows, "_context", context_by_own_clock)


def cancel_request_ignored() -> None:
    """A cancellation that is accepted while the order is in progress has no effect."""

    def ignore_request(*_: object) -> bool:
        return False

    replace(Forward, "must_compensate", ignore_request)


def sweep_skips_compensating_runs() -> None:
    """The sweep finds running runs only, and no compensating ones."""
    replace(sweeping, "LIVE", (RunStatus.RUNNING,))


def published_before_commit() -> None:
    """A run is queued inside its transaction, which may still fail."""

    def publish_now(run: SagaRun) -> None:
        links = remaining_links(run)
        if links:
            publish([run.pk], links)

    replace_wherever_imported(dispatch, publish_now)
