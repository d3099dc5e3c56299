"""Carries runs: claim, call, settle, until nothing is left for this worker.

Each remote step passes through three moments::

    claim    a phase's transaction: the attempt is journalled, the run leased, the fence raised
    call     outside any transaction
    settle   the next phase's transaction: the answer, what follows from it, the next claim

A crash between any two of them leaves a started attempt behind. Once its lease has run out the
sweep has another worker find out what became of it.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar, cast
from uuid import UUID

from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    close_old_connections,
    connection,
    transaction,
)

from sagas.batch import Output
from sagas.bulk_sql import select
from sagas.definition import Attempt, Link, Saga
from sagas.errors import LeaseLost
from sagas.group_commit import GroupCommit
from sagas.log_context import log_context
from sagas.messages import CallResult, Claim, NextAction, Stop, WorkItem
from sagas.models import Outcome, SagaRun
from sagas.phase import Phase
from sagas.run_threads import RunThreads, run_threads

log = logging.getLogger(__name__)
T = TypeVar("T")


class Runner:
    """Carries the runs of one saga along one link. Each process has one for each link.

    Thread-safe. All runners of a process share its ``threads``.
    """

    def __init__(self, saga: Saga, link: Link, threads: RunThreads = run_threads) -> None:
        self.saga = saga
        self.link = link
        self._threads = threads
        self._phases = GroupCommit[WorkItem, NextAction](self._together, self._alone)
        self._checkpoints = GroupCommit[Checkpoint, object](write_together, write_alone)

    def advance_all(self, run_ids: Sequence[UUID]) -> list[NextAction]:
        """Advance several runs at the same time, and return the next action for each, in their order.

        A single run is advanced in the caller's thread, several in the threads of the process. An
        error ends its own run only: it is logged, and the next action is Stop. If every run fails,
        the first error is raised. Raises RuntimeError when called in one of those threads.
        """
        if len(run_ids) == 1:
            return [self.advance(run_ids[0])]
        futures = [self._threads.submit(self._advance_in_thread, run_id) for run_id in run_ids]
        errors = [future.exception() for future in futures]
        if all(errors) and errors[0] is not None:
            raise errors[0]
        for run_id, error in zip(run_ids, errors, strict=True):
            if error:
                log.error("advance.failed", exc_info=error, extra={"run_id": str(run_id)})
        return [Stop() if future.exception() else future.result() for future in futures]

    def _advance_in_thread(self, run_id: UUID) -> NextAction:
        close_old_connections()  # one that a restart has cut would fail this run
        return self.advance(run_id)

    def advance(self, run_id: UUID) -> NextAction:
        """Take a run as far as it goes on this link.

        Safe to call at any time, any number of times, from any number of workers: whoever does
        not find the run free at a step of this link changes nothing. Never returns a Claim.
        Raises DatabaseError when the database does not answer; the sweep comes back to the run.
        """
        next_action = self._phases.submit(WorkItem(run_id))
        while isinstance(next_action, Claim):
            with log_context(**next_action.names, saga=self.saga.name):
                try:
                    result = ask(next_action, ActiveAttempt(next_action, self._checkpoints))
                except LeaseLost:
                    log.warning("lease.lost")
                    return Stop()
            next_action = self._phases.submit(WorkItem(run_id, result))
        return next_action

    def _together(self, work_items: list[WorkItem]) -> list[NextAction]:
        with log_context(saga=self.saga.name, runs=len(work_items)):
            return Phase(self.saga, self.link, work_items).perform()

    def _alone(self, work_item: WorkItem) -> NextAction:
        with log_context(**work_item.names, saga=self.saga.name):
            return self._perform_one(work_item)

    def _perform_one(self, work_item: WorkItem) -> NextAction:
        """Carry out one run's phase; if it raises, save the answer first and then the error."""
        connection.close_if_unusable_or_obsolete()
        phase = Phase(self.saga, self.link, [work_item])
        try:
            return phase.perform()[0]
        except Exception as error:
            is_outage = _is_outage(error)
            if not is_outage:
                log.exception("phase.failed")
            if work_item.result is not None:
                self._settle_alone(work_item)
            if is_outage or phase.working_on is None:
                raise
            failure = (phase.working_on, error)
            journalled = Phase(self.saga, self.link, [WorkItem(work_item.run_id)], failure=failure)
            return journalled.perform()[0]

    def _settle_alone(self, work_item: WorkItem) -> None:
        """Write down what the far side said, whatever else went wrong.

        It is lost only where the database is away too; then the next attempt asks again. Where
        even recording it raises, the attempt counts as failed and keeps the answer; the next
        attempt asks again and finds the same.
        """
        connection.close_if_unusable_or_obsolete()
        try:
            Phase(self.saga, self.link, [work_item], settle_only=True).perform()
        except Exception as error:
            if work_item.result is None or _is_outage(error):
                raise
            failed = replace(
                work_item.result,
                outcome=Outcome.FAILED,
                error=type(error).__name__,
                detail=str(error),
            )
            kept = WorkItem(work_item.run_id, failed)
            Phase(self.saga, self.link, [kept], settle_only=True).perform()


def _is_outage(error: Exception) -> bool:
    """Whether the database could not do its part: it is away, or ended what hung.

    What it does not take is another matter: a bug of the step that wrote it, as any other is.
    """
    return isinstance(error, DatabaseError) and not isinstance(error, IntegrityError | DataError)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What an attempt has to write before its call goes on."""

    claim: Claim
    write: Callable[[], object]


def write_together(checkpoints: list[Checkpoint]) -> list[object]:
    """Write for all of these attempts in one transaction, if all of them still hold their runs."""
    with transaction.atomic():
        leased = select(
            SagaRun,
            "WHERE id = ANY(%s) AND leased_until IS NOT NULL ORDER BY id",
            [[each.claim.run_id for each in checkpoints]],
            lock=True,
        )
        held = {(run.pk, run.fence) for run in leased}
        for each in checkpoints:
            if (each.claim.run_id, each.claim.fence) not in held:
                raise LeaseLost(each.claim.run_id, each.claim.fence)
        return [each.write() for each in checkpoints]


def write_alone(checkpoint: Checkpoint) -> object:
    return write_together([checkpoint])[0]


class ActiveAttempt:
    """The Attempt of a claimed step: what its function may know and do."""

    def __init__(self, claim: Claim, checkpoints: GroupCommit[Checkpoint, object]) -> None:
        self._claim = claim
        self._checkpoints = checkpoints

    @property
    def subject_id(self) -> UUID:
        return self._claim.subject_id

    @property
    def number(self) -> int:
        return self._claim.number

    @property
    def budget(self) -> timedelta:
        return self._claim.work.deadline

    def checkpoint(self, write: Callable[[], T]) -> T:
        return cast("T", self._checkpoints.submit(Checkpoint(self._claim, write)))


def ask(claim: Claim, attempt: Attempt) -> CallResult:
    """Make the call of a claimed step and sort what comes of it, as its definition says."""
    work = claim.work
    try:
        output: Output = work.call(attempt)
    except LeaseLost:
        raise
    except work.rejected_by as error:
        return _result(claim, Outcome.REJECTED, error)
    except work.transient as error:
        return _result(claim, Outcome.TRANSIENT, error)
    except work.unknown as error:
        return _result(claim, Outcome.UNKNOWN, error)
    except Exception as error:
        log.exception("call.failed")
        return _result(claim, Outcome.FAILED, error)
    return CallResult(claim, Outcome.DONE, output)


def _result(claim: Claim, outcome: Outcome, error: Exception) -> CallResult:
    """A rejection may bring a stable ``code`` and ``detail``; other errors are named by their class."""
    code = getattr(error, "code", type(error).__name__)
    return CallResult(claim, outcome, {}, str(code), str(getattr(error, "detail", error)))
