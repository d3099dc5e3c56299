"""One transaction's work on a set of runs: settle what was answered, act, claim what comes next.

Everything that a phase decides commits at once: effects, journal rows, the state of the runs, their
facts, and the claim on the next remote step.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from sagas import journal
from sagas.definition import Batch, Link, Local, Refusal, Remote, RetryPolicy, Saga, Step
from sagas.dispatch import dispatch
from sagas.errors import DefinitionError
from sagas.models import HANDOVER, Direction, Outcome, RunStatus, SagaRun, StepRecord
from sagas.reports import report
from sagas.row_sets import Change, select
from sagas.standing import Standing
from sagas.verdicts import Arrival, Claim, ComeBack, GoOn, Reply, Stop, Verdict

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
        arrivals: Sequence[Arrival],
        *,
        settle_only: bool = False,
        failure: tuple[Step, Exception] | None = None,
    ) -> None:
        self.saga = saga
        self.link = link
        self.arrivals = arrivals
        self.settle_only = settle_only
        self.failure = failure
        self.working_on: Step | None = None  # still set when it raises
        self.direction = Direction.BACK if link.is_way_back else Direction.FORWARD
        self.now: datetime
        self.standings: list[Standing] = []
        self.turned: list[Standing] = []
        self.started: list[StepRecord] = []
        self.settled: list[StepRecord] = []
        self.along: list[Change] = []
        self.late: list[Reply] = []

    def perform(self) -> list[Verdict]:
        """Do it all or nothing, and say for each arrival what comes next."""
        with transaction.atomic():
            self._take_up()
            self._settle()
            if not self.settle_only:
                self._turn_back_where_asked()
                for step in self.link.steps:
                    self._work(step)
            self._end_and_schedule()
            journal.keep(
                started=self.started,
                settled=self.settled,
                runs=[each.run for each in self.standings if each.has_changed],
                along=self.along,
            )
            for reply in self.late:
                journal.note_late(reply)
        report(self.saga, self.link, self.standings, started=self.started, settled=self.settled)
        return [self._hand_out(each) for each in self.arrivals]

    # -- taking up ---------------------------------------------------------------------------

    def _take_up(self) -> None:
        """Lock the runs, on the database's clock, and see which are ours to write."""
        arrivals: dict[object, list[Reply | None]] = {}
        for each in self.arrivals:
            arrivals.setdefault(each.run_id, []).append(each.reply)
        rows = select(
            SagaRun,
            "WHERE id = ANY(%s) AND saga = %s AND version = %s ORDER BY id",
            [list(arrivals), self.saga.name, self.saga.version],
            lock=True,
            db_now="statement_timestamp()",
        )
        for run in rows:
            self.now = run.db_now
            self.standings.append(self._stand(run, arrivals[run.pk]))
        if self.link.is_way_back:
            self._load_owed_undos()
        self._give_up_lost_attempts()

    def _stand(self, run: SagaRun, replies: list[Reply | None]) -> Standing:
        """See whether one of those who came for ``run`` may write it."""
        standing = Standing(run, self.saga.step(run.step) if run.step else None)
        for reply in filter(None, replies):
            if reply.claim.fence == run.fence and run.leased_until is not None:
                standing.reply = reply
            else:
                self.late.append(reply)
        going = RunStatus.COMPENSATING if self.link.is_way_back else RunStatus.RUNNING
        leased = run.leased_until is not None and run.leased_until > self.now
        comes_fresh = None in replies and not leased
        standing.is_ours = run.status == going and (standing.reply is not None or comes_fresh)
        return standing

    def _give_up_lost_attempts(self) -> None:
        """Settle what was claimed by workers that were not heard of again.

        The first loss is made good at once; a second one looks like a step that kills its workers,
        and waits for its back-off.
        """
        lost = {
            each.run.pk: each
            for each in self.standings
            if each.is_ours and each.reply is None and each.run.leased_until is not None
        }
        if not lost:
            return
        for record in StepRecord.objects.filter(run__in=list(lost), outcome=Outcome.STARTED):
            record.outcome, record.ended_at = Outcome.LOST, self.now
            self.settled.append(record)
            step, standing = self.saga.step(record.step), lost[record.run_id]
            if self.link.is_way_back:
                standing.owed[step] = record
            work = self.link.work(step)
            if record.attempt > 1 and isinstance(work, Remote):
                self._back_off(standing, step, record, work.retry)
        for standing in lost.values():
            standing.run.leased_until = None
            standing.has_changed = True

    def _load_owed_undos(self) -> None:
        ours = {each.run.pk: each for each in self.standings if each.is_ours}
        records: dict[object, list[StepRecord]] = {pk: [] for pk in ours}
        for record in StepRecord.objects.filter(run__in=list(ours)).order_by("pk"):
            records[record.run_id].append(record)
        for pk, standing in ours.items():
            standing.owed = journal.owed_undos(self.saga, records[pk])

    # -- settling ----------------------------------------------------------------------------

    def _settle(self) -> None:
        """Write down what the calls answered, and what follows from it for each run."""
        answered = [each for each in self.standings if each.reply is not None and each.is_ours]
        for step in self.link.steps:
            done = []
            for standing in answered:
                reply = standing.reply
                if reply is None or reply.claim.step is not step:
                    continue
                standing.run.leased_until = None
                standing.has_changed = True
                record = self._settled_record(reply)
                if reply.outcome == Outcome.DONE:
                    done.append(standing)
                    self._done(standing, step)
                elif reply.outcome == Outcome.REFUSED:
                    self._turn_back(standing, Refusal(reply.error, reply.detail))
                else:
                    self._unanswered(standing, reply, record)
            work = self.link.work(step) if done else None
            if isinstance(work, Remote):
                work.record(self._batch(done))

    def _settled_record(self, reply: Reply) -> StepRecord:
        record = reply.claim.record
        record.outcome = reply.outcome
        record.output = reply.output
        record.error = reply.error
        record.detail = reply.detail
        record.ended_at = self.now
        self.settled.append(record)
        return record

    def _done(self, standing: Standing, step: Step) -> None:
        if self.link.is_way_back:
            standing.owed.pop(step, None)
            standing.made_progress()
        elif standing.run.turn_back_requested_at is not None:
            standing.made_progress()  # no further than this: it turns back from here
        else:
            standing.go_to(self.saga.after(step))

    def _unanswered(self, standing: Standing, reply: Reply, record: StepRecord) -> None:
        """No yes and no no: ask again later, or turn back when patience is spent."""
        claim, retry = reply.claim, reply.claim.work.retry
        gave_up = reply.outcome != Outcome.FAILED and retry.is_spent(standing.run.tries)
        if gave_up and not self.link.is_way_back:
            self._turn_back(standing, Refusal(f"{claim.step.name}_unanswered", reply.error))
            return
        if reply.outcome == Outcome.FAILED:
            standing.forgive_try()
        self._back_off(standing, claim.step, record, retry)

    def _back_off(
        self, standing: Standing, step: Step, record: StepRecord, retry: RetryPolicy
    ) -> None:
        standing.has_changed = True
        not_before = self.now + retry.delay(record.attempt)
        if self.link.is_way_back:
            record.not_before = not_before
            standing.owed[step] = record
        else:
            standing.run.not_before = not_before
        if record.attempt >= ATTENTION_AFTER or retry.is_spent(record.attempt):
            standing.flag(
                f"{self.link.name_of(step)}: {record.attempt} tries,"
                f" last {record.outcome} {record.error}"
            )

    # -- turning back ------------------------------------------------------------------------

    def _turn_back_where_asked(self) -> None:
        if self.link.is_way_back:
            return
        for each in self.standings:
            if each.is_ours and each.run.turn_back_requested_at and not self._has_turned(each):
                self._turn_back(each, Refusal(each.run.reason, each.run.reason_detail))

    def _turn_back(self, standing: Standing, refusal: Refusal) -> None:
        run = standing.run
        if not self.saga.can_turn_back_at(standing.step or self.saga.steps[-1]):
            raise DefinitionError(f"{run} refused {refusal.code} where it cannot turn back")
        standing.go_to(None)
        run.status = RunStatus.COMPENSATING
        if run.turn_back_requested_at is None:  # else the wish came first, and is the reason
            run.reason, run.reason_detail = refusal.code, refusal.detail
        self.turned.append(standing)

    def _has_turned(self, standing: Standing) -> bool:
        return standing.run.status == RunStatus.COMPENSATING and not self.link.is_way_back

    # -- acting and claiming -----------------------------------------------------------------

    def _work(self, step: Step) -> None:
        group = [each for each in self.standings if self._is_due(each, step)]
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

    def _is_due(self, standing: Standing, step: Step) -> bool:
        if not standing.is_ours or standing.claim is not None or self._has_turned(standing):
            return False
        if self.link.is_way_back:
            last = standing.owed.get(step)
            not_before = last.not_before if last else None
            stands_here = step in standing.owed
        else:
            not_before = standing.run.not_before
            stands_here = standing.step is step and standing.run.frozen_at is None
        return stands_here and (not_before is None or not_before <= self.now)

    def _act(self, group: list[Standing], step: Step, work: Local) -> None:
        batch = self._batch(group)
        work.act(batch)
        if batch.refusals and self.link.is_way_back:
            raise DefinitionError(f"{step.undo_name}: a compensation cannot be refused")
        for standing in group:
            refusal = batch.refusals.get(standing.run.subject_id)
            record = self._new_record(standing, step, Outcome.DONE)
            record.ended_at = self.now
            if refusal is None:
                self._done(standing, step)
            else:
                record.outcome = Outcome.REFUSED
                record.error, record.detail = refusal.code, refusal.detail
                self._turn_back(standing, refusal)

    def _claim(self, group: list[Standing], step: Step, work: Remote) -> None:
        for standing in [each for each in group if self._was_lost_too_often(each, work)]:
            self._turn_back(standing, Refusal(f"{step.name}_unanswered", Outcome.LOST))
            group.remove(standing)
        work.intend(self._batch(group))
        for standing in group:
            run = standing.run
            run.leased_until = self.now + work.deadline + LEASE_MARGIN
            record = self._new_record(standing, step, Outcome.STARTED)
            standing.claim = Claim(
                run.pk,
                run.subject_id,
                run.correlation_id,
                step,
                work,
                run.fence,
                record.attempt,
                record,
            )
            standing.has_changed = True

    def _was_lost_too_often(self, standing: Standing, work: Remote) -> bool:
        """Whether attempts that were never answered have used up the step's patience."""
        return not self.link.is_way_back and work.retry.is_spent(standing.run.tries)

    def _journal_failure(self, group: list[Standing], step: Step, error: Exception) -> None:
        work = self.link.work(step)
        retry = work.retry if isinstance(work, Remote) else LOCAL_RETRY
        for standing in group:
            record = self._new_record(standing, step, Outcome.FAILED)
            record.error, record.detail = type(error).__name__, str(error)
            record.ended_at = self.now
            standing.forgive_try()
            self._back_off(standing, step, record, retry)

    def _batch(self, standings: Sequence[Standing]) -> Batch:
        return Batch([each.member() for each in standings], self.along)

    def _new_record(self, standing: Standing, step: Step, outcome: Outcome) -> StepRecord:
        standing.run.fence += 1
        if self.link.is_way_back:
            last = standing.owed.get(step)
            attempt = last.attempt + 1 if last else 1
        else:
            standing.run.tries += 1
            standing.run.attempts += 1
            attempt = standing.run.attempts
        record = StepRecord(
            run=standing.run,
            step=step.name,
            direction=self.direction,
            attempt=attempt,
            fence=standing.run.fence,
            outcome=outcome,
            started_at=self.now,
        )
        self.started.append(record)
        return record

    # -- closing -----------------------------------------------------------------------------

    def _end_and_schedule(self) -> None:
        """End what has nothing left, and say for the rest when it wakes."""
        compensated = []
        for standing in self.standings:
            if not standing.is_ours or standing.claim or self._has_turned(standing):
                continue
            if self.link.is_way_back and not standing.owed:
                self._end(standing, RunStatus.COMPENSATED)
                compensated.append(standing)
            elif not self.link.is_way_back and standing.step is None:
                self._end(standing, RunStatus.COMPLETED)
        if self.turned:
            self.saga.turning_back(self._batch(self.turned))
        if compensated:
            self.saga.compensated(self._batch(compensated))
        for standing in self.standings:
            if standing.has_changed and standing.run.is_live:
                standing.run.wake_at = self._wake_at(standing)
        for standing in self.turned:
            dispatch(standing.run)

    def _end(self, standing: Standing, status: RunStatus) -> None:
        standing.made_progress()
        standing.run.status = status
        standing.run.wake_at = None
        standing.run.ended_at = self.now

    def _wake_at(self, standing: Standing) -> datetime:
        run = standing.run
        if standing.claim is not None and run.leased_until is not None:
            return run.leased_until
        not_before = self._next_try(standing)
        return not_before + HINT_LEAD if not_before else self.now + HANDOVER

    def _next_try(self, standing: Standing) -> datetime | None:
        """When the run's back-off ends; None when it has none."""
        if not self.link.is_way_back:
            return standing.run.not_before
        waits = [each.not_before for each in standing.owed.values() if each and each.not_before]
        return min(waits) if waits and len(waits) == len(standing.owed) else None

    def _hand_out(self, arrival: Arrival) -> Verdict:
        """Tell one arrival what comes next; its double in the same group has nothing to do."""
        for standing in self.standings:
            if standing.run.pk == arrival.run_id and standing.reply is arrival.reply:
                self.standings.remove(standing)
                return self._verdict(standing)
        return Stop()

    def _verdict(self, standing: Standing) -> Verdict:
        if standing.claim is not None:
            return standing.claim
        if not standing.has_changed or not standing.run.is_live or self._has_turned(standing):
            return Stop()
        if (not_before := self._next_try(standing)) is not None:
            return ComeBack(max(not_before - self.now, timedelta()))
        if standing.step is not None and standing.step not in self.link.steps:
            return GoOn()
        return Stop()
