"""One transaction's work on a set of runs: settle results, act, claim the next remote step.

Everything that a phase decides commits at once: effects, journal rows, the state of the runs, their
events, and the claim on the next remote step. ``sagas/decision.py`` decides; a phase reads, acts for
many runs at once, and writes.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from sagas import journal
from sagas.batch import Batch, Output, Rejection, WaitBatch
from sagas.decision import next_wake_at
from sagas.definition import Link, Saga, Step
from sagas.dispatch import dispatch
from sagas.errors import DefinitionError
from sagas.messages import Claim, Continue, NextAction, RetryAfter, Stop, WorkItem
from sagas.models import Outcome, RunStatus, SagaRun, StepAttempt
from sagas.new_runs import start_new_runs
from sagas.nudges import nudge
from sagas.phase_rows import PhaseRows
from sagas.run_context import RunContext
from sagas.run_state import Answer, RunState, Settled
from sagas.telemetry import report
from sagas.work import Local, Remote, Wait

LEASE_MARGIN: Final = timedelta(seconds=2)
"""How much longer a lease is than its call's time limit, to settle the result. If waiting for locks
takes longer, the fence still stops this worker from writing."""


class Phase(PhaseRows):
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
        super().__init__(saga, link, work_items)
        self.settle_only = settle_only
        self.failure = failure
        self.current_step: Step | None = None  # still set after it raised
        self.began_compensating: list[RunContext] = []

    def perform(self) -> list[NextAction]:
        """Do all of it or nothing. Returns the next action for each work item, in their order."""
        with transaction.atomic():
            self._load()
            self._settle()
            if not self.settle_only:
                self._notice_nudges_and_requests()
                for step in self.link.steps:
                    self._work(step)
            ended = self._end_and_schedule()
            journal.write_phase(
                started=self.started,
                settled=self.settled,
                runs=[context.run for context in self.contexts if context.has_changed],
                extra_changes=self.writes.changes,
            )
            for result in self.stale_results:
                journal.note_stale_result(result)
            start_new_runs(self.writes.successors)
            nudge(run_ids=[run.parent_id for run in ended if run.parent_id is not None])
        report(self.saga, self.link, self.contexts, started=self.started, settled=self.settled)
        return [self._take_next_action(item) for item in self.work_items]

    # -- settling ----------------------------------------------------------------------------

    def _settle(self) -> None:
        """Record the results of calls, and decide what follows for each run."""
        for step in self.link.steps:
            done = []
            for context in self.contexts:
                result = context.result if context.may_write else None
                if result is None or result.claim.step is not step:
                    continue
                result = result.as_declared()
                attempt = result.copy_to_attempt()
                settled = self._decide(context, step, attempt, until=result.until)
                context.output = attempt.output
                self._save_settled(context, step, attempt)
                if settled.has_passed:
                    done.append(context)
            self._record(done, step)

    def _decide(
        self, context: RunContext, step: Step, attempt: StepAttempt, until: datetime | None = None
    ) -> Settled:
        """Decide what follows from an attempt's outcome, and correct the attempt accordingly."""
        answer = Answer(Outcome(attempt.outcome), attempt.error, attempt.detail, until)
        settled = self.way.settled(context.state, step, answer, self._moment)
        self._apply(context, settled, attempt)
        return settled

    def _apply(self, context: RunContext, settled: Settled, attempt: StepAttempt) -> None:
        attempt.outcome = settled.outcome
        if settled.output is not None:
            attempt.output = settled.output
        self._change(context, settled.state)

    def _change(self, context: RunContext, state: RunState) -> None:
        was_running = context.state.status == RunStatus.RUNNING
        context.change(state)
        if was_running and state.status == RunStatus.COMPENSATING:
            self.began_compensating.append(context)

    def _record(self, contexts: list[RunContext], step: Step) -> None:
        """Record the outputs of the calls of a remote step."""
        work = self.link.work(step) if contexts else None
        if isinstance(work, Remote):
            work.record(self._batch(contexts))
            self._start_children()

    # -- compensating ------------------------------------------------------------------------

    def _notice_nudges_and_requests(self) -> None:
        nudged_ids = []
        for context in self.contexts:
            if not context.may_write:
                continue
            nudged = self.way.nudged(context.state)
            if nudged is not context.state:
                context.change(nudged)
                nudged_ids.append(context.run.pk)
            if self.forward.must_compensate(context.state):
                self._journal_interrupted_wait(context)
                requested = Rejection(context.state.reason, context.state.reason_detail)
                self._change(context, self.forward.compensate(context.state, requested))
        if nudged_ids and self.link.is_compensating:
            journal.look_at_once(nudged_ids)

    def _journal_interrupted_wait(self, context: RunContext) -> None:
        step = self.saga.step(context.state.step) if context.state.step else None
        if step is not None and context.state.waits_for and isinstance(step.action, Wait):
            self._ended_attempt(context, step, Outcome.INTERRUPTED)

    # -- acting and claiming -----------------------------------------------------------------

    def _work(self, step: Step) -> None:
        group = [
            context
            for context in self.contexts
            if context.may_write and self.way.is_due(context.state, step, self.now)
        ]
        if not group:
            return
        self.current_step = step
        work = self.link.work(step)
        if self.failure is not None and self.failure[0] is step:
            self._journal_failure(group, step, self.failure[1])
        else:
            match work:
                case Local():
                    self._act(group, step, work)
                case Remote():
                    self._claim(group, step, work)
                case Wait():
                    self._try_condition(group, step, work)
        self._start_children()
        self.current_step = None

    def _start_children(self) -> None:
        """Start the runs that a step has asked for, so that the steps after it find them."""
        start_new_runs(self.writes.children)
        self.writes.children.clear()

    def _act(self, group: list[RunContext], step: Step, work: Local) -> None:
        batch = self._batch(group)
        work.act(batch)
        if batch.rejections and self.link.is_compensating:
            raise DefinitionError(f"{step.compensation_name}: a compensation cannot be rejected")
        self._check_declared(batch, step, work.rejections)
        for context in group:
            self._finish(context, step, batch.rejections.get(context.run.subject_id, {}))

    def _finish(self, context: RunContext, step: Step, result: Rejection | Output) -> None:
        """Journal the end of a run's local step or wait, and decide what follows."""
        attempt = self._ended_attempt(context, step, Outcome.DONE)
        if isinstance(result, Rejection):
            attempt.outcome = Outcome.REJECTED
            attempt.error, attempt.detail = result.code, result.detail
        else:
            attempt.output = result
        self._decide(context, step, attempt)

    def _check_declared(self, batch: Batch, step: Step, declared: Mapping[str, object]) -> None:
        for rejection in batch.rejections.values():
            if rejection.code not in declared:
                raise DefinitionError(f"{step.name} does not declare {rejection.code}")

    def _try_condition(self, group: list[RunContext], step: Step, work: Wait) -> None:
        """Move on the runs whose condition is met; the others begin to wait, or wait on."""
        is_late = frozenset(c.run.subject_id for c in group if self._is_overdue(c))
        is_new = frozenset(c.run.subject_id for c in group if not c.state.waits_for)
        views = [context.view() for context in group]
        batch = WaitBatch(views, self.writes, arrived_ids=is_new, overdue_ids=is_late)
        work.until(batch)
        self._check_declared(batch, step, work.rejections)
        waiting = []
        for context in group:
            subject_id = context.run.subject_id
            result = batch.rejections.get(subject_id, batch.outputs.get(subject_id))
            if result is not None:
                self._finish(context, step, result)
            elif subject_id in is_late:
                self._end_overdue(context, step)
            else:
                waiting.append(context)
        self._wait(waiting, step, work)

    def _end_overdue(self, context: RunContext, step: Step) -> None:
        before = context.state
        settled = self.forward.overdue(before, step, Outcome.REJECTED, self.now)
        if settled.state.waits_for:  # escalated: it waits on
            context.change(settled.state)
            return
        attempt = self._ended_attempt(context, step, settled.outcome)
        attempt.error = "overdue" if settled.has_passed else settled.state.reason
        self._apply(context, settled, attempt)

    def _wait(self, group: list[RunContext], step: Step, work: Wait) -> None:
        """Begin to wait, with a deadline, where a run does not wait yet."""
        new = [context for context in group if not context.state.waits_for]
        batch = self._batch(new)
        if new:
            self._begin(batch, work)
        for context in group:
            subject_id = context.run.subject_id
            end, then = batch.deadlines.get(subject_id), batch.then.get(subject_id, "")
            state = self.forward.began_waiting(context.state, step.name, self.now, end, then)
            context.change(state)
        if late := [context for context in new if self._is_overdue(context)]:
            self._try_condition(late, step, work)

    def _begin(self, batch: Batch, work: Wait) -> None:
        """Set the deadline of each subject, and do what the wait begins with."""
        if callable(work.deadline):
            batch.deadlines = work.deadline(batch)
        else:
            batch.deadlines = dict.fromkeys(batch.runs, self.now + work.deadline)
        if work.begin is not None:
            work.begin(batch)

    def _claim(self, group: list[RunContext], step: Step, work: Remote) -> None:
        if not self.link.is_compensating:
            group = self._give_up(group, step)
        work.prepare(self._batch(group))
        for context in group:
            attempt = self._new_attempt(context, step, Outcome.STARTED)
            leased_until = self.now + work.time_limit + LEASE_MARGIN
            context.change(context.state._replace(leased_until=leased_until))
            until, is_late = context.state.waiting_until, self._is_overdue(context)
            context.claim = Claim(
                context.view(), step, work, attempt, attempt.fence, until, is_late
            )

    def _give_up(self, group: list[RunContext], step: Step) -> list[RunContext]:
        """Do what the step declares where lost attempts have spent its retries; return the others."""
        left, passed = [], []
        for context in group:
            if not self.forward.tries_are_spent(context.state, step):
                left.append(context)
                continue
            settled = self.forward.spent(context.state, step, Answer(Outcome.LOST, Outcome.LOST))
            if settled.has_passed:
                attempt = self._ended_attempt(context, step, settled.outcome)
                attempt.error = Outcome.LOST
                self._apply(context, settled, attempt)
                context.output = attempt.output
                passed.append(context)
            else:
                self._change(context, settled.state)
        self._record(passed, step)
        return left

    def _journal_failure(self, group: list[RunContext], step: Step, error: Exception) -> None:
        for context in group:
            attempt = self._ended_attempt(context, step, Outcome.FAILED)
            attempt.error, attempt.detail = type(error).__name__, str(error)
            self._decide(context, step, attempt)
            attempt.not_before = self.way.progress(context.state, step).not_before

    # -- finishing ---------------------------------------------------------------------------

    def _end_and_schedule(self) -> list[SagaRun]:
        """End the runs that have nothing left to do, and set when the sweep looks at each live run.

        Returns the runs that have ended.
        """
        ended = [c for c in self.contexts if c.may_write and self._has_finished(c)]
        for context in ended:
            self._end(context)
        for context in self.contexts:
            if context.has_changed:
                context.copy_to_run()
        if self.began_compensating:
            self.saga.on_compensating(self._batch(self.began_compensating))
        if ended and self.link.is_compensating:
            self.saga.on_compensated(self._batch(ended))
        elif ended and self.saga.on_completed is not None:
            self.saga.on_completed(self._batch(ended))
        for context in self.contexts:
            if context.has_changed and context.run.is_live:
                context.run.wake_at = next_wake_at(self.way, context.state, self.now)
        for context in self.began_compensating:
            dispatch(context.run)
        return [context.run for context in ended]

    def _has_finished(self, context: RunContext) -> bool:
        return context.claim is None and self.way.has_finished(context.state)

    def _end(self, context: RunContext) -> None:
        context.change(self.way.ended(context.state))
        context.run.wake_at = None
        context.run.ended_at = self.now

    def _take_next_action(self, work_item: WorkItem) -> NextAction:
        """Return one work item's next action; a duplicate in the same group gets Stop."""
        for context in self.contexts:
            if context.run.pk == work_item.run_id and context.result is work_item.result:
                self.contexts.remove(context)
                return self._next_action(context)
        return Stop()

    def _next_action(self, context: RunContext) -> NextAction:
        """Return what the worker that advances the run does next."""
        state = context.state
        if context.claim is not None:
            return context.claim
        if not context.has_changed or state.status != self.way.status:
            return Stop()
        if state.waits_for:
            return Stop()
        if (next_try := self.way.next_try(state)) is not None:
            return RetryAfter(max(next_try - self.now, timedelta()))
        if state.step and self.saga.step(state.step) not in self.link.steps:
            return Continue()
        return Stop()
