"""One transaction's work on a set of runs: settle what was answered, act, claim what comes next.

Everything that a phase decides commits at once: effects, journal rows, the state of the runs, their
events, and the claim on the next remote step.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from sagas import journal
from sagas.bulk_sql import Change, select
from sagas.definition import Batch, Link, Local, Rejection, Remote, RetryPolicy, Saga, Step
from sagas.dispatch import dispatch
from sagas.errors import DefinitionError
from sagas.messages import CallResult, Claim, Continue, NextAction, RetryAfter, Stop, WorkItem
from sagas.models import HANDOVER, Direction, Outcome, RunStatus, SagaRun, StepAttempt
from sagas.run_context import RunContext
from sagas.telemetry import report

LEASE_MARGIN: Final = timedelta(seconds=2)
"""What a lease has beyond its call's deadline, for the settling transaction. Where waiting for
locks eats it up, the fence still keeps a worker that comes too late from writing."""

HINT_LEAD: Final = timedelta(seconds=2)
"""How far a retry's own message is ahead of the sweep, which would only double it."""

ATTENTION_AFTER: Final = 8
"""Attempts at one step after which a person is asked to look: a minute or two of back-off."""

LOCAL_RETRY: Final = RetryPolicy()
"""How patiently a local step is tried again after it raised."""


class Phase:
    """What happens to some runs of one saga, on one link, in one transaction.

    ``settle_only`` writes down answers and does nothing else. ``failure`` names a step whose work
    raised when it was tried just now: it is journalled as failed instead of being tried again.
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
        self.working_on: Step | None = None  # still set when it raises
        self.direction = Direction.COMPENSATING if link.is_compensating else Direction.FORWARD
        self.now: datetime
        self.contexts: list[RunContext] = []
        self.turned: list[RunContext] = []
        self.started: list[StepAttempt] = []
        self.settled: list[StepAttempt] = []
        self.extra_changes: list[Change] = []
        self.stale_results: list[CallResult] = []

    def perform(self) -> list[NextAction]:
        """Do it all or nothing, and say for each work_item what comes next."""
        with transaction.atomic():
            self._take_up()
            self._settle()
            if not self.settle_only:
                self._compensate_where_requested()
                for step in self.link.steps:
                    self._work(step)
            self._end_and_schedule()
            journal.keep(
                started=self.started,
                settled=self.settled,
                runs=[each.run for each in self.contexts if each.has_changed],
                extra_changes=self.extra_changes,
            )
            for result in self.stale_results:
                journal.note_stale_result(result)
        report(self.saga, self.link, self.contexts, started=self.started, settled=self.settled)
        return [self._hand_out(each) for each in self.work_items]

    # -- taking up ---------------------------------------------------------------------------

    def _take_up(self) -> None:
        """Lock the runs, on the database's clock, and see which are ours to write."""
        work_items: dict[object, list[CallResult | None]] = {}
        for each in self.work_items:
            work_items.setdefault(each.run_id, []).append(each.result)
        rows = select(
            SagaRun,
            "WHERE id = ANY(%s) AND saga = %s AND version = %s ORDER BY id",
            [list(work_items), self.saga.name, self.saga.version],
            lock=True,
            db_now="statement_timestamp()",
        )
        for run in rows:
            self.now = run.db_now
            self.contexts.append(self._stand(run, work_items[run.pk]))
        if self.link.is_compensating:
            self._load_pending_compensations()
        self._give_up_lost_attempts()

    def _stand(self, run: SagaRun, results: list[CallResult | None]) -> RunContext:
        """See whether one of those who came for ``run`` may write it."""
        context = RunContext(run, self.saga.step(run.step) if run.step else None)
        for result in filter(None, results):
            if result.claim.fence == run.fence and run.leased_until is not None:
                context.result = result
            else:
                self.stale_results.append(result)
        going = RunStatus.COMPENSATING if self.link.is_compensating else RunStatus.RUNNING
        leased = run.leased_until is not None and run.leased_until > self.now
        comes_fresh = None in results and not leased
        context.is_ours = run.status == going and (context.result is not None or comes_fresh)
        return context

    def _give_up_lost_attempts(self) -> None:
        """Settle what was claimed by workers that were not heard of again.

        The first loss is made good at once; a second one looks like a step that kills its workers,
        and waits for its back-off.
        """
        lost = {
            each.run.pk: each
            for each in self.contexts
            if each.is_ours and each.result is None and each.run.leased_until is not None
        }
        if not lost:
            return
        for record in StepAttempt.objects.filter(run__in=list(lost), outcome=Outcome.STARTED):
            record.outcome, record.ended_at = Outcome.LOST, self.now
            self.settled.append(record)
            step, context = self.saga.step(record.step), lost[record.run_id]
            if self.link.is_compensating:
                context.pending[step] = record
            work = self.link.work(step)
            if record.attempt > 1 and isinstance(work, Remote):
                self._back_off(context, step, record, work.retry)
        for context in lost.values():
            context.run.leased_until = None
            context.has_changed = True

    def _load_pending_compensations(self) -> None:
        ours = {each.run.pk: each for each in self.contexts if each.is_ours}
        records: dict[object, list[StepAttempt]] = {pk: [] for pk in ours}
        for record in StepAttempt.objects.filter(run__in=list(ours)).order_by("pk"):
            records[record.run_id].append(record)
        for pk, context in ours.items():
            context.pending = journal.pending_compensations(self.saga, records[pk])

    # -- settling ----------------------------------------------------------------------------

    def _settle(self) -> None:
        """Write down what the calls answered, and what follows from it for each run."""
        answered = [each for each in self.contexts if each.result is not None and each.is_ours]
        for step in self.link.steps:
            done = []
            for context in answered:
                result = context.result
                if result is None or result.claim.step is not step:
                    continue
                context.run.leased_until = None
                context.has_changed = True
                record = self._settled_record(result)
                if result.outcome == Outcome.DONE:
                    done.append(context)
                    self._done(context, step)
                elif result.outcome == Outcome.REJECTED:
                    self._start_compensating(context, Rejection(result.error, result.detail))
                else:
                    self._unanswered(context, result, record)
            work = self.link.work(step) if done else None
            if isinstance(work, Remote):
                work.record(self._batch(done))

    def _settled_record(self, result: CallResult) -> StepAttempt:
        record = result.claim.record
        record.outcome = result.outcome
        record.output = result.output
        record.error = result.error
        record.detail = result.detail
        record.ended_at = self.now
        self.settled.append(record)
        return record

    def _done(self, context: RunContext, step: Step) -> None:
        if self.link.is_compensating:
            context.pending.pop(step, None)
            context.made_progress()
        elif context.run.compensation_requested_at is not None:
            context.made_progress()  # no further than this: it turns back from here
        else:
            context.go_to(self.saga.after(step))

    def _unanswered(self, context: RunContext, result: CallResult, record: StepAttempt) -> None:
        """No yes and no no: ask again later, or turn back when patience is spent."""
        claim, retry = result.claim, result.claim.work.retry
        gave_up = result.outcome != Outcome.FAILED and retry.is_spent(context.run.tries)
        if gave_up and not self.link.is_compensating:
            self._start_compensating(
                context, Rejection(f"{claim.step.name}_unanswered", result.error)
            )
            return
        if result.outcome == Outcome.FAILED:
            context.forgive_try()
        self._back_off(context, claim.step, record, retry)

    def _back_off(
        self, context: RunContext, step: Step, record: StepAttempt, retry: RetryPolicy
    ) -> None:
        context.has_changed = True
        not_before = self.now + retry.delay(record.attempt)
        if self.link.is_compensating:
            record.not_before = not_before
            context.pending[step] = record
        else:
            context.run.not_before = not_before
        if record.attempt >= ATTENTION_AFTER or retry.is_spent(record.attempt):
            context.flag(
                f"{self.link.name_of(step)}: {record.attempt} tries,"
                f" last {record.outcome} {record.error}"
            )

    # -- turning back ------------------------------------------------------------------------

    def _compensate_where_requested(self) -> None:
        if self.link.is_compensating:
            return
        for each in self.contexts:
            if (
                each.is_ours
                and each.run.compensation_requested_at
                and not self._is_compensating(each)
            ):
                self._start_compensating(each, Rejection(each.run.reason, each.run.reason_detail))

    def _start_compensating(self, context: RunContext, rejection: Rejection) -> None:
        run = context.run
        if not self.saga.can_compensate_at(context.step or self.saga.steps[-1]):
            raise DefinitionError(f"{run} refused {rejection.code} where it cannot turn back")
        context.go_to(None)
        run.status = RunStatus.COMPENSATING
        if run.compensation_requested_at is None:  # else the wish came first, and is the reason
            run.reason, run.reason_detail = rejection.code, rejection.detail
        self.turned.append(context)

    def _is_compensating(self, context: RunContext) -> bool:
        return context.run.status == RunStatus.COMPENSATING and not self.link.is_compensating

    # -- acting and claiming -----------------------------------------------------------------

    def _work(self, step: Step) -> None:
        group = [each for each in self.contexts if self._is_due(each, step)]
        if not group:
            return
        self.working_on = step
        work = self.link.work(step)
        if self.failure is not None and self.failure[0] is step:
            self._journal_failure(group, step, self.failure[1])
        elif isinstance(work, Local):
            self._act(group, step, work)
        else:
            self._claim(group, step, work)
        self.working_on = None

    def _is_due(self, context: RunContext, step: Step) -> bool:
        if not context.is_ours or context.claim is not None or self._is_compensating(context):
            return False
        if self.link.is_compensating:
            last = context.pending.get(step)
            not_before = last.not_before if last else None
            stands_here = step in context.pending
        else:
            not_before = context.run.not_before
            stands_here = context.step is step and context.run.paused_at is None
        return stands_here and (not_before is None or not_before <= self.now)

    def _act(self, group: list[RunContext], step: Step, work: Local) -> None:
        batch = self._batch(group)
        work.act(batch)
        if batch.rejections and self.link.is_compensating:
            raise DefinitionError(f"{step.compensation_name}: a compensation cannot be refused")
        for context in group:
            rejection = batch.rejections.get(context.run.subject_id)
            record = self._new_record(context, step, Outcome.DONE)
            record.ended_at = self.now
            if rejection is None:
                self._done(context, step)
            else:
                record.outcome = Outcome.REJECTED
                record.error, record.detail = rejection.code, rejection.detail
                self._start_compensating(context, rejection)

    def _claim(self, group: list[RunContext], step: Step, work: Remote) -> None:
        for context in [each for each in group if self._was_lost_too_often(each, work)]:
            self._start_compensating(context, Rejection(f"{step.name}_unanswered", Outcome.LOST))
            group.remove(context)
        work.prepare(self._batch(group))
        for context in group:
            run = context.run
            run.leased_until = self.now + work.deadline + LEASE_MARGIN
            record = self._new_record(context, step, Outcome.STARTED)
            context.claim = Claim(
                run.pk,
                run.subject_id,
                run.correlation_id,
                step,
                work,
                run.fence,
                record.attempt,
                record,
            )
            context.has_changed = True

    def _was_lost_too_often(self, context: RunContext, work: Remote) -> bool:
        """Whether attempts that were never answered have used up the step's patience."""
        return not self.link.is_compensating and work.retry.is_spent(context.run.tries)

    def _journal_failure(self, group: list[RunContext], step: Step, error: Exception) -> None:
        work = self.link.work(step)
        retry = work.retry if isinstance(work, Remote) else LOCAL_RETRY
        for context in group:
            record = self._new_record(context, step, Outcome.FAILED)
            record.error, record.detail = type(error).__name__, str(error)
            record.ended_at = self.now
            context.forgive_try()
            self._back_off(context, step, record, retry)

    def _batch(self, contexts: Sequence[RunContext]) -> Batch:
        return Batch([each.view() for each in contexts], self.extra_changes)

    def _new_record(self, context: RunContext, step: Step, outcome: Outcome) -> StepAttempt:
        context.run.fence += 1
        if self.link.is_compensating:
            last = context.pending.get(step)
            attempt = last.attempt + 1 if last else 1
        else:
            context.run.tries += 1
            context.run.attempts += 1
            attempt = context.run.attempts
        record = StepAttempt(
            run=context.run,
            step=step.name,
            direction=self.direction,
            attempt=attempt,
            fence=context.run.fence,
            outcome=outcome,
            started_at=self.now,
        )
        self.started.append(record)
        return record

    # -- closing -----------------------------------------------------------------------------

    def _end_and_schedule(self) -> None:
        """End what has nothing left, and say for the rest when it wakes."""
        compensated = []
        for context in self.contexts:
            if not context.is_ours or context.claim or self._is_compensating(context):
                continue
            if self.link.is_compensating and not context.pending:
                self._end(context, RunStatus.COMPENSATED)
                compensated.append(context)
            elif not self.link.is_compensating and context.step is None:
                self._end(context, RunStatus.COMPLETED)
        if self.turned:
            self.saga.on_compensating(self._batch(self.turned))
        if compensated:
            self.saga.on_compensated(self._batch(compensated))
        for context in self.contexts:
            if context.has_changed and context.run.is_live:
                context.run.wake_at = self._wake_at(context)
        for context in self.turned:
            dispatch(context.run)

    def _end(self, context: RunContext, status: RunStatus) -> None:
        context.made_progress()
        context.run.status = status
        context.run.wake_at = None
        context.run.ended_at = self.now

    def _wake_at(self, context: RunContext) -> datetime:
        run = context.run
        if context.claim is not None and run.leased_until is not None:
            return run.leased_until
        not_before = self._next_try(context)
        return not_before + HINT_LEAD if not_before else self.now + HANDOVER

    def _next_try(self, context: RunContext) -> datetime | None:
        """When the run's back-off ends; None when it has none."""
        if not self.link.is_compensating:
            return context.run.not_before
        waits = [each.not_before for each in context.pending.values() if each and each.not_before]
        return min(waits) if waits and len(waits) == len(context.pending) else None

    def _hand_out(self, work_item: WorkItem) -> NextAction:
        """Tell one work_item what comes next; its double in the same group has nothing to do."""
        for context in self.contexts:
            if context.run.pk == work_item.run_id and context.result is work_item.result:
                self.contexts.remove(context)
                return self._next_action(context)
        return Stop()

    def _next_action(self, context: RunContext) -> NextAction:
        if context.claim is not None:
            return context.claim
        if not context.has_changed or not context.run.is_live or self._is_compensating(context):
            return Stop()
        if (not_before := self._next_try(context)) is not None:
            return RetryAfter(max(not_before - self.now, timedelta()))
        if context.step is not None and context.step not in self.link.steps:
            return Continue()
        return Stop()
