"""One transaction's work on a set of runs: settle results, act, claim the next remote step.

Everything that a phase decides commits at once: effects, journal rows, the state of the runs, their
events, and the claim on the next remote step.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from sagas import journal
from sagas.batch import Batch, Rejection
from sagas.bulk_sql import Change, select
from sagas.definition import Link, Local, Proceed, Remote, Saga, Step
from sagas.dispatch import dispatch
from sagas.errors import DefinitionError
from sagas.messages import CallResult, Claim, NextAction, Stop, WorkItem
from sagas.models import Direction, Outcome, RunStatus, SagaRun, StepAttempt
from sagas.retry_policy import RetryPolicy
from sagas.run_context import RunContext
from sagas.schedule import is_finished_here, next_action, next_wake_at
from sagas.telemetry import report

LEASE_MARGIN: Final = timedelta(seconds=2)
"""How much longer a lease is than its call's time limit, to settle the result. If waiting for locks
takes longer, the fence still stops this worker from writing."""

ATTENTION_AFTER_ATTEMPTS: Final = 8
"""After this many attempts at one step the run is flagged: one or two minutes of back-off."""

LOCAL_RETRY: Final = RetryPolicy()
"""How a local step is retried after it raised."""


class Phase:
    """What happens to some runs of one saga, on one link, in one transaction.

    ``settle_only`` writes down results and does nothing else. ``failure`` names a step whose work
    has just raised: it is journalled as failed instead of being tried again.
    """

    def __init__(
        self,
        saga: Saga,
        link: Link,
        work_items: Sequence[WorkItem],
        *,
        settle_only: bool = False,
        failure: tuple[Step, Exception] | None = None,
    ) -> None:
        self.saga = saga
        self.link = link
        self.work_items = work_items
        self.settle_only = settle_only
        self.failure = failure
        self.current_step: Step | None = None  # still set after it raised
        self.direction = Direction.COMPENSATING if link.is_compensating else Direction.FORWARD
        self.now: datetime
        self.contexts: list[RunContext] = []
        self.began_compensating: list[RunContext] = []
        self.started: list[StepAttempt] = []
        self.settled: list[StepAttempt] = []
        self.extra_changes: list[Change] = []
        self.stale_results: list[CallResult] = []

    def perform(self) -> list[NextAction]:
        """Do all of it or nothing. Returns the next action for each work item, in their order."""
        with transaction.atomic():
            self._load()
            self._settle()
            if not self.settle_only:
                self._compensate_where_requested()
                for step in self.link.steps:
                    self._work(step)
            self._end_and_schedule()
            journal.write_phase(
                started=self.started,
                settled=self.settled,
                runs=[context.run for context in self.contexts if context.has_changed],
                extra_changes=self.extra_changes,
            )
            for result in self.stale_results:
                journal.note_stale_result(result)
        report(self.saga, self.link, self.contexts, started=self.started, settled=self.settled)
        return [self._take_next_action(item) for item in self.work_items]

    # -- loading -----------------------------------------------------------------------------

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
            db_now="statement_timestamp()",
        )
        for run in rows:
            self.now = run.db_now
            self.contexts.append(self._context(run, results[run.pk]))
        if self.link.is_compensating:
            self._load_pending_compensations()
        self._settle_lost_attempts()

    def _context(self, run: SagaRun, results: list[CallResult | None]) -> RunContext:
        """Decide whether this worker may write ``run``, and keep stale results apart."""
        context = RunContext(run, self.saga.step(run.step) if run.step else None)
        for result in filter(None, results):
            if result.claim.fence == run.fence and run.leased_until is not None:
                context.result = result
            else:
                self.stale_results.append(result)
        expected = RunStatus.COMPENSATING if self.link.is_compensating else RunStatus.RUNNING
        leased = run.leased_until is not None and run.leased_until > self.now
        is_free = None in results and not leased
        context.may_write = run.status == expected and (context.result is not None or is_free)
        return context

    def _settle_lost_attempts(self) -> None:
        """Settle as lost the attempts of workers whose lease ran out.

        If a step's first attempt is lost, the next one starts at once: most workers are lost in a
        restart. If a later one is lost, the next one waits for its back-off, because the step may
        kill its workers.
        """
        lost = {
            context.run.pk: context
            for context in self.contexts
            if context.may_write and context.result is None and context.run.leased_until is not None
        }
        if not lost:
            return
        for attempt in StepAttempt.objects.filter(run__in=list(lost), outcome=Outcome.STARTED):
            attempt.outcome, attempt.ended_at = Outcome.LOST, self.now
            self.settled.append(attempt)
            step, context = self.saga.step(attempt.step), lost[attempt.run_id]
            if self.link.is_compensating:
                context.pending[step] = attempt
            work = self.link.work(step)
            if attempt.number > 1 and isinstance(work, Remote):
                self._back_off(context, step, attempt, work.retry)
        for context in lost.values():
            context.run.leased_until = None
            context.has_changed = True

    def _load_pending_compensations(self) -> None:
        ours = {context.run.pk: context for context in self.contexts if context.may_write}
        attempts: dict[object, list[StepAttempt]] = {pk: [] for pk in ours}
        for attempt in StepAttempt.objects.filter(run__in=list(ours)).order_by("pk"):
            attempts[attempt.run_id].append(attempt)
        for pk, context in ours.items():
            context.pending = journal.pending_compensations(self.saga, attempts[pk])

    # -- settling ----------------------------------------------------------------------------

    def _settle(self) -> None:
        """Record the results of calls, and decide what follows for each run."""
        answered = [
            context for context in self.contexts if context.result is not None and context.may_write
        ]
        for step in self.link.steps:
            done = []
            for context in answered:
                if context.result is None or context.result.claim.step is not step:
                    continue
                result = context.result.as_declared()
                context.run.leased_until = None
                context.has_changed = True
                context.output = result.output
                attempt = result.copy_to_attempt(self.now)
                self.settled.append(attempt)
                if result.outcome == Outcome.DONE:
                    done.append(context)
                elif result.outcome == Outcome.REJECTED:
                    self._start_compensating(context, Rejection(result.error, result.detail))
                elif not self._is_spent(context, result):
                    self._retry(context, result, attempt)
                elif isinstance(when_spent := result.claim.work.when_spent, Proceed):
                    self._proceed(context, attempt, when_spent)
                    done.append(context)
                else:
                    self._start_compensating(context, Rejection(step.unanswered_code, result.error))
            self._record(done, step)

    def _record(self, contexts: list[RunContext], step: Step) -> None:
        """Move runs past ``step``, and let it record their calls' outputs."""
        for context in contexts:
            self._done(context, step)
        work = self.link.work(step) if contexts else None
        if isinstance(work, Remote):
            work.record(self._batch(contexts))

    def _is_spent(self, context: RunContext, result: CallResult) -> bool:
        """Return whether the retries are spent, by ``retry_count``: failed attempts do not count."""
        is_spent = result.claim.work.retry.is_spent(context.run.retry_count)
        return is_spent and result.outcome != Outcome.FAILED and not self.link.is_compensating

    def _proceed(self, context: RunContext, attempt: StepAttempt, when_spent: Proceed) -> None:
        """Use the declared output as the step's result, and journal the attempt as proceeded."""
        attempt.outcome = Outcome.PROCEEDED
        attempt.output = context.output = when_spent.output

    def _done(self, context: RunContext, step: Step) -> None:
        if self.link.is_compensating:
            context.pending.pop(step, None)
            context.made_progress()
        elif context.run.compensation_requested_at is not None:
            context.made_progress()  # it stays at this step, and compensates from here
        else:
            context.go_to(self.saga.after(step))

    def _retry(self, context: RunContext, result: CallResult, attempt: StepAttempt) -> None:
        if result.outcome == Outcome.FAILED:
            context.exclude_from_retry_limit()
        self._back_off(context, result.claim.step, attempt, result.claim.work.retry)

    def _back_off(
        self, context: RunContext, step: Step, attempt: StepAttempt, retry: RetryPolicy
    ) -> None:
        context.has_changed = True
        # By the attempt's number, not by retry_count: a step that fails must wait longer each time, too.
        not_before = self.now + retry.delay(attempt.number)
        if self.link.is_compensating:
            attempt.not_before = not_before
            context.pending[step] = attempt
        else:
            context.run.not_before = not_before
        if attempt.number >= ATTENTION_AFTER_ATTEMPTS or retry.is_spent(attempt.number):
            context.flag(
                f"{self.link.name_of(step)}: {attempt.number} attempts,"
                f" last {attempt.outcome} {attempt.error}"
            )

    # -- compensating ------------------------------------------------------------------------

    def _compensate_where_requested(self) -> None:
        if self.link.is_compensating:
            return
        for context in self.contexts:
            run = context.run
            is_requested = context.may_write and run.compensation_requested_at is not None
            if is_requested and not is_finished_here(context, self.link):
                self._start_compensating(context, Rejection(run.reason, run.reason_detail))

    def _start_compensating(self, context: RunContext, rejection: Rejection) -> None:
        run = context.run
        if not self.saga.can_compensate_at(context.step or self.saga.steps[-1]):
            raise DefinitionError(f"{run} rejected {rejection.code} where it cannot compensate")
        context.go_to(None)
        run.status = RunStatus.COMPENSATING
        if run.compensation_requested_at is None:  # else the request came first, and is the reason
            run.reason, run.reason_detail = rejection.code, rejection.detail
        self.began_compensating.append(context)

    # -- acting and claiming -----------------------------------------------------------------

    def _work(self, step: Step) -> None:
        group = [context for context in self.contexts if self._is_due(context, step)]
        if not group:
            return
        self.current_step = step
        work = self.link.work(step)
        if self.failure is not None and self.failure[0] is step:
            self._journal_failure(group, step, self.failure[1])
        elif isinstance(work, Local):
            self._act(group, step, work)
        else:
            self._claim(group, step, work)
        self.current_step = None

    def _is_due(self, context: RunContext, step: Step) -> bool:
        if (
            not context.may_write
            or context.claim is not None
            or is_finished_here(context, self.link)
        ):
            return False
        if self.link.is_compensating:
            last = context.pending.get(step)
            not_before = last.not_before if last else None
            is_here = step in context.pending
        else:
            not_before = context.run.not_before
            is_here = context.step is step and context.run.paused_at is None
        return is_here and (not_before is None or not_before <= self.now)

    def _act(self, group: list[RunContext], step: Step, work: Local) -> None:
        batch = self._batch(group)
        work.act(batch)
        if batch.rejections and self.link.is_compensating:
            raise DefinitionError(f"{step.compensation_name}: a compensation cannot be rejected")
        for rejection in batch.rejections.values():
            if rejection.code not in work.rejections:
                raise DefinitionError(f"{step.name} does not declare {rejection.code}")
        for context in group:
            rejected = batch.rejections.get(context.run.subject_id)
            attempt = self._new_attempt(context, step, Outcome.DONE)
            attempt.ended_at = self.now
            if rejected is None:
                self._done(context, step)
            else:
                attempt.outcome = Outcome.REJECTED
                attempt.error, attempt.detail = rejected.code, rejected.detail
                self._start_compensating(context, rejected)

    def _claim(self, group: list[RunContext], step: Step, work: Remote) -> None:
        if spent := [context for context in group if self._was_lost_too_often(context, work)]:
            self._give_up(spent, step, work)
            group = [context for context in group if context not in spent]
        work.prepare(self._batch(group))
        for context in group:
            run = context.run
            run.leased_until = self.now + work.time_limit + LEASE_MARGIN
            attempt = self._new_attempt(context, step, Outcome.STARTED)
            context.claim = Claim(
                run.pk,
                run.subject_id,
                run.correlation_id,
                step,
                work,
                run.fence,
                attempt.number,
                attempt,
            )
            context.has_changed = True

    def _was_lost_too_often(self, context: RunContext, work: Remote) -> bool:
        """Return whether attempts that were lost have spent the step's retries."""
        return not self.link.is_compensating and work.retry.is_spent(context.run.retry_count)

    def _give_up(self, contexts: list[RunContext], step: Step, work: Remote) -> None:
        """Do what the step declares for spent retries, where the last attempts were lost."""
        if not isinstance(work.when_spent, Proceed):
            for context in contexts:
                self._start_compensating(context, Rejection(step.unanswered_code, Outcome.LOST))
            return
        for context in contexts:
            attempt = self._new_attempt(context, step, Outcome.PROCEEDED)
            attempt.error, attempt.ended_at = Outcome.LOST, self.now
            self._proceed(context, attempt, work.when_spent)
        self._record(contexts, step)

    def _journal_failure(self, group: list[RunContext], step: Step, error: Exception) -> None:
        work = self.link.work(step)
        retry = work.retry if isinstance(work, Remote) else LOCAL_RETRY
        for context in group:
            attempt = self._new_attempt(context, step, Outcome.FAILED)
            attempt.error, attempt.detail = type(error).__name__, str(error)
            attempt.ended_at = self.now
            context.exclude_from_retry_limit()
            self._back_off(context, step, attempt, retry)

    def _batch(self, contexts: Sequence[RunContext]) -> Batch:
        return Batch([context.view() for context in contexts], self.extra_changes)

    def _new_attempt(self, context: RunContext, step: Step, outcome: Outcome) -> StepAttempt:
        context.run.fence += 1
        if self.link.is_compensating:
            last = context.pending.get(step)
            number = last.number + 1 if last else 1
        else:
            context.run.retry_count += 1
            context.run.attempt_count += 1
            number = context.run.attempt_count
        attempt = StepAttempt(
            run=context.run,
            step=step.name,
            direction=self.direction,
            number=number,
            fence=context.run.fence,
            outcome=outcome,
            started_at=self.now,
        )
        self.started.append(attempt)
        return attempt

    # -- finishing ---------------------------------------------------------------------------

    def _end_and_schedule(self) -> None:
        """End the runs that have nothing left to do, and set when the sweep looks at each live run."""
        compensated = []
        for context in self.contexts:
            if not context.may_write or context.claim or is_finished_here(context, self.link):
                continue
            if self.link.is_compensating and not context.pending:
                self._end(context, RunStatus.COMPENSATED)
                compensated.append(context)
            elif not self.link.is_compensating and context.step is None:
                self._end(context, RunStatus.COMPLETED)
        if self.began_compensating:
            self.saga.on_compensating(self._batch(self.began_compensating))
        if compensated:
            self.saga.on_compensated(self._batch(compensated))
        for context in self.contexts:
            if context.has_changed and context.run.is_live:
                context.run.wake_at = next_wake_at(context, self.link, self.now)
        for context in self.began_compensating:
            dispatch(context.run)

    def _end(self, context: RunContext, status: RunStatus) -> None:
        context.made_progress()
        context.run.status = status
        context.run.wake_at = None
        context.run.ended_at = self.now

    def _take_next_action(self, work_item: WorkItem) -> NextAction:
        """Return one work item's next action; a duplicate in the same group gets Stop."""
        for context in self.contexts:
            if context.run.pk == work_item.run_id and context.result is work_item.result:
                self.contexts.remove(context)
                return next_action(context, self.link, self.now)
        return Stop()
