"""The rows of one phase: the runs that it locks, and the attempts that it writes."""

import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from bulk_sql.statements import select
from sagas import journal
from sagas.batch import Batch, Output, PhaseWrites
from sagas.compensating import Compensating
from sagas.decision import Way
from sagas.definition import Link, Saga, Step
from sagas.forward import Forward
from sagas.messages import CallResult, WorkItem
from sagas.models import Direction, Outcome, SagaRun, StepAttempt
from sagas.run_context import RunContext, state_of
from sagas.run_state import Moment
from sagas.work import Wait

_random: Final = random.SystemRandom()  # not seeded: processes that start together must differ


class PhaseRows:
    """Runs of one saga on one link, locked in one transaction, and the attempts at their steps."""

    def __init__(self, saga: Saga, link: Link, work_items: Sequence[WorkItem]) -> None:
        self.saga = saga
        self.link = link
        self.forward = Forward(saga)
        self.way: Way = Compensating(saga) if link.is_compensating else self.forward
        self.work_items = work_items
        self.direction = Direction.COMPENSATING if link.is_compensating else Direction.FORWARD
        self.now: datetime
        self.jitter = _random.random()
        self.contexts: list[RunContext] = []
        self.started: list[StepAttempt] = []
        self.settled: list[StepAttempt] = []
        self.writes = PhaseWrites(self._outputs_of)
        self.stale_results: list[CallResult] = []

    @property
    def _moment(self) -> Moment:
        return Moment(self.now, self.jitter)

    def _load(self) -> None:
        """Lock the runs, read the database's clock, and decide which runs this worker may write."""
        results: dict[object, list[CallResult | None]] = {}
        for item in self.work_items:
            results.setdefault(item.run_id, []).append(item.result)
        rows = select(
            SagaRun,
            "WHERE id = ANY(%s) AND saga = %s AND version = %s ORDER BY id",
            [list(results), self.saga.name, self.saga.version],
            lock=True,
            db_now="clock_now()",
        )
        for run in rows:
            self.now = run.db_now
            self.contexts.append(self._context(run, results[run.pk]))
        if self.link.is_compensating:
            self._load_pending_compensations()
        self._settle_lost_attempts()

    def _context(self, run: SagaRun, results: list[CallResult | None]) -> RunContext:
        """Decide whether this worker may write ``run``, and keep stale results apart."""
        context = RunContext(run, state_of(run))
        for result in filter(None, results):
            if result.claim.fence == run.fence and run.leased_until is not None:
                context.result = result
            else:
                self.stale_results.append(result)
        is_free = None in results and not context.state.is_leased(self.now)
        is_ours = context.state.status == self.way.status
        context.may_write = is_ours and (context.result is not None or is_free)
        return context

    def _load_pending_compensations(self) -> None:
        ours = {context.run.pk: context for context in self.contexts if context.may_write}
        for pk, pending in journal.pending_compensations(self.saga, list(ours)).items():
            ours[pk].state = ours[pk].state._replace(compensations=pending)

    def _settle_lost_attempts(self) -> None:
        """Settle as lost the attempts of workers whose lease ran out."""
        lost = {
            context.run.pk: context
            for context in self.contexts
            if context.may_write
            and context.result is None
            and context.state.leased_until is not None
        }
        if not lost:
            return
        for attempt in StepAttempt.objects.filter(run__in=list(lost), outcome=Outcome.STARTED):
            step, context = self.saga.step(attempt.step), lost.pop(attempt.run_id)
            context.change(self.way.lost(context.state, step, self._moment))
            attempt.outcome = Outcome.LOST
            self._save_settled(context, step, attempt)
        for context in lost.values():
            context.change(context.state._replace(leased_until=None))

    def _is_overdue(self, context: RunContext) -> bool:
        return self.forward.is_overdue(context.state, self.now)

    # -- attempts ----------------------------------------------------------------------------

    def _new_attempt(self, context: RunContext, step: Step, outcome: Outcome) -> StepAttempt:
        context.run.fence += 1
        context.change(self.way.attempted(context.state, step))
        progress = self.way.progress(context.state, step)
        attempt = StepAttempt(
            run=context.run,
            step=step.name,
            direction=self.direction,
            number=progress.number,
            tries=progress.tries,
            fence=context.run.fence,
            outcome=outcome,
            started_at=self.now,
        )
        self.started.append(attempt)
        return attempt

    def _ended_attempt(self, context: RunContext, step: Step, outcome: Outcome) -> StepAttempt:
        """Return the new row of work that has ended in this phase; of a wait, since it began."""
        since = context.state.waiting_since
        attempt = self._new_attempt(context, step, outcome)
        attempt.ended_at = self.now
        if since is not None and isinstance(self.link.work(step), Wait):
            attempt.started_at = since
        return attempt

    def _save_settled(self, context: RunContext, step: Step, attempt: StepAttempt) -> None:
        attempt.ended_at = self.now
        progress = self.way.progress(context.state, step)
        attempt.tries, attempt.not_before = progress.tries, progress.not_before
        self.settled.append(attempt)

    def _outputs_of(self, run_ids: Sequence[UUID], step: str) -> Mapping[UUID, Output]:
        """Return the results of ``step``: of this phase, which are not written yet, and of earlier ones."""
        ours = {
            attempt.run_id: attempt.output
            for attempt in (*self.started, *self.settled)
            if attempt.step == step and attempt.outcome in journal.HAS_RESULT
        }
        others = [run_id for run_id in run_ids if run_id not in ours]
        return {**ours, **journal.outputs_of(others, step)} if others else ours

    def _batch(self, contexts: Sequence[RunContext]) -> Batch:
        views = [context.view() for context in contexts]
        return Batch(views, self.writes)
