"""Bugs in how runs are claimed, settled, undone, queued and found again."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import payments.services
from payments.models import Payment
from payments.states import PaymentStatus
from proof.seeded_bugs.patching import replace, replace_wherever_imported
from sagas import journal
from sagas import sweep as sweeping
from sagas.definition import Saga, Step
from sagas.dispatch import dispatch, publish, remaining_links
from sagas.messages import CallResult
from sagas.models import Direction, Outcome, RunStatus, SagaRun, StepAttempt
from sagas.phase import Phase
from sagas.run_context import RunContext


def settled_without_the_fence() -> None:
    """An answer is settled whoever brings it, whatever has become of the run and the payment."""
    stand = Phase._context

    def move_anyhow(payment: Payment, status: PaymentStatus) -> None:
        payment.status = status

    def stand_for_everybody(
        self: Phase, run: SagaRun, replies: list[CallResult | None]
    ) -> RunContext:
        for result in filter(None, replies):
            object.__setattr__(result.claim, "fence", run.fence)
            result.claim.attempt.fence = run.fence
            run.leased_until = run.leased_until or self.now
        return stand(self, run, replies)

    replace(Phase, "_context", stand_for_everybody)
    replace(payments.services, "_move", move_anyhow)


def journalled_after_the_call() -> None:
    """An attempt is written down with its answer, not before the call: a dead worker leaves none."""
    write_phase = journal.write_phase

    def keep_what_was_answered(
        *, started: Sequence[StepAttempt], settled: Sequence[StepAttempt], **rest: Any
    ) -> None:
        answered = [each for each in started if each.outcome != Outcome.STARTED]
        write_phase(started=[*answered, *settled], settled=[], **rest)

    replace(journal, "write_phase", keep_what_was_answered)


def compensated_from_memory() -> None:
    """What is to be undone is kept in the memory of the worker that did it."""
    new_attempt, pending_compensations = Phase._new_attempt, journal.pending_compensations
    done_here: set[tuple[UUID, str]] = set()

    def make_and_remember(
        self: Phase, context: RunContext, step: Step, outcome: Outcome
    ) -> StepAttempt:
        if self.direction == Direction.FORWARD:
            done_here.add((context.run.pk, step.name))
        return new_attempt(self, context, step, outcome)

    def remember(saga: Saga, attempts: Sequence[StepAttempt]) -> dict[Step, StepAttempt | None]:
        run_id = attempts[0].run_id if attempts else None
        owed = pending_compensations(saga, attempts)
        return {step: last for step, last in owed.items() if (run_id, step.name) in done_here}

    replace(Phase, "_new_attempt", make_and_remember)
    replace(journal, "pending_compensations", remember)


def leased_by_the_workers_clock() -> None:
    """Leases follow the worker's clock; that of whoever claims an order first is an hour fast."""
    stand = Phase._context
    skew: list[timedelta] = []

    def stand_by_own_clock(
        self: Phase, run: SagaRun, replies: list[CallResult | None]
    ) -> RunContext:
        if not skew:
            skew.append(timedelta(hours=1) if run.fence == 0 else timedelta())
        self.now += skew[0]
        return stand(self, run, replies)

    replace(Phase, "_context", stand_by_own_clock)


def wish_never_looked_at() -> None:
    """A cancel that is accepted while the order is under way is not acted on."""

    def look_away(_: Phase) -> None:
        pass

    replace(Phase, "_compensate_where_requested", look_away)


def sweep_passes_compensating_runs_over() -> None:
    """The sweep looks for runs that go forward only."""
    replace(sweeping, "LIVE", (RunStatus.RUNNING,))


def published_before_commit() -> None:
    """A run is queued within the transaction that may still fail."""

    def publish_now(run: SagaRun) -> None:
        links = remaining_links(run)
        if links:
            publish([run.pk], links)

    replace_wherever_imported(dispatch, publish_now)
