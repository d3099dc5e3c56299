"""Advances runs on one link: claim, call, settle, until nothing is left to do there.

Each remote step passes through three moments::

    claim    in a phase's transaction: journal the attempt, lease the run, raise the fence
    call     outside any transaction
    settle   in the next phase's transaction: save the result, and claim the next call

A crash between any two of them leaves a started attempt. Once its lease has run out, the sweep
queues the run, and the next attempt finds out what happened.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, TypeVar, cast
from uuid import UUID

from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    close_old_connections,
    connection,
    transaction,
)

from bulk_sql.statements import select
from sagas.batch import Output
from sagas.definition import Link, Saga
from sagas.errors import LeaseLost
from sagas.group_commit import GroupCommit
from sagas.journal import outputs_of
from sagas.log_context import log_context
from sagas.messages import CallResult, Claim, NextAction, Stop, WorkItem
from sagas.models import Outcome, SagaRun
from sagas.phase import Phase
from sagas.run_threads import RunThreads, run_threads
from sagas.work import Attempt, error_code

log = logging.getLogger(__name__)
T = TypeVar("T")


class Runner:
    """Advances the runs of one saga on one link. Each process has one for each link.

    Thread-safe. All runners of a process share its ``threads``.
    """

    def __init__(self, saga: Saga, link: Link, threads: RunThreads = run_threads) -> None:
        self.saga = saga
        self.link = link
        self._threads = threads
        self._phases = GroupCommit[WorkItem, NextAction](self._perform_group, self._perform_single)
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
        close_old_connections()  # a connection that a restart has cut would fail this run
        return self.advance(run_id)

    def advance(self, run_id: UUID) -> NextAction:
        """Advance a run as far as it goes on this link, and return what its worker does next.

        Safe to call at any time, any number of times, from any number of workers. It changes nothing
        if the run is leased or is not at a step of this link. Never returns a Claim. Raises
        DatabaseError when the database does not answer; the sweep queues the run again.
        """
        next_action = self._phases.submit(WorkItem(run_id))
        while isinstance(next_action, Claim):
            with log_context(**next_action.log_fields, saga=self.saga.name):
                try:
                    result = make_call(next_action, ActiveAttempt(next_action, self._checkpoints))
                except LeaseLost:
                    log.warning("lease.lost")
                    return Stop()
            next_action = self._phases.submit(WorkItem(run_id, result))
        return next_action

    def _perform_group(self, work_items: list[WorkItem]) -> list[NextAction]:
        with log_context(saga=self.saga.name, runs=len(work_items)):
            return Phase(self.saga, self.link, work_items).perform()

    def _perform_single(self, work_item: WorkItem) -> NextAction:
        with log_context(**work_item.log_fields, saga=self.saga.name):
            return self._perform_one(work_item)

    def _perform_one(self, work_item: WorkItem) -> NextAction:
        """Perform one run's phase; if it raises, save the call's result first and then the error."""
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
            if is_outage or phase.current_step is None:
                raise
            failure = (phase.current_step, error)
            journalled = Phase(self.saga, self.link, [WorkItem(work_item.run_id)], failure=failure)
            return journalled.perform()[0]

    def _settle_alone(self, work_item: WorkItem) -> None:
        """Save a call's result, although the phase around it failed.

        The result is lost only if the database is unreachable, too; the next attempt then repeats
        the call. If recording the result raises, the attempt is saved as failed, with the error; the
        next attempt repeats the call as well.
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
            saved = WorkItem(work_item.run_id, failed)
            Phase(self.saga, self.link, [saved], settle_only=True).perform()


def _is_outage(error: Exception) -> bool:
    """Return whether the database was unreachable, or ended a statement that hung.

    An IntegrityError or DataError is not an outage, but a bug of the step that wrote the row.
    """
    return isinstance(error, DatabaseError) and not isinstance(error, IntegrityError | DataError)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Something that an attempt writes before its call goes on."""

    claim: Claim
    write: Callable[[], object]


def write_together(checkpoints: list[Checkpoint]) -> list[object]:
    """Write for several attempts in one transaction. Raises LeaseLost if any has lost its lease."""
    with transaction.atomic():
        leased = select(
            SagaRun,
            "WHERE id = ANY(%s) AND leased_until IS NOT NULL ORDER BY id",
            [[checkpoint.claim.run.run_id for checkpoint in checkpoints]],
            lock=True,
        )
        leases = {(run.pk, run.fence) for run in leased}
        for checkpoint in checkpoints:
            claim = checkpoint.claim
            if (claim.run.run_id, claim.fence) not in leases:
                raise LeaseLost(claim.run.run_id, claim.fence)
        return [checkpoint.write() for checkpoint in checkpoints]


def write_alone(checkpoint: Checkpoint) -> object:
    return write_together([checkpoint])[0]


class ActiveAttempt:
    """The Attempt that the function of a claimed step receives."""

    def __init__(self, claim: Claim, checkpoints: GroupCommit[Checkpoint, object]) -> None:
        self.subject_id: Final = claim.run.subject_id
        self.run_id: Final = claim.run.run_id
        self.input: Final = claim.run.input
        self.waiting_until: Final = claim.waiting_until
        self.is_overdue: Final = claim.is_overdue
        self.number: Final = claim.attempt.number
        self._claim = claim
        self._checkpoints = checkpoints

    @property
    def time_limit(self) -> timedelta:
        return self._claim.work.time_limit

    def output_of(self, step: str) -> Output:
        return outputs_of([self.run_id], step).get(self.run_id, {})

    def checkpoint(self, write: Callable[[], T]) -> T:
        return cast("T", self._checkpoints.submit(Checkpoint(self._claim, write)))


def make_call(claim: Claim, attempt: Attempt) -> CallResult:
    """Make the call of a claimed step, and classify its result or its error by the step's definition."""
    work = claim.work
    try:
        output: Output = work.call(attempt)
    except LeaseLost:
        raise
    except work.pending_errors as error:
        return _pending(claim, error)
    except work.rejected_by as error:
        return _result(claim, Outcome.REJECTED, error)
    except work.transient as error:
        return _result(claim, Outcome.TRANSIENT, error)
    except work.unknown as error:
        return _result(claim, Outcome.UNKNOWN, error)
    except Exception as error:
        if not isinstance(error, tuple(work.failures)):
            log.exception("call.failed")
        return _failed(claim, error)
    return CallResult(claim, Outcome.DONE, output)


def _pending(claim: Claim, error: Exception) -> CallResult:
    """Return a pending result under the code that the step declares, with the error's deadline."""
    code = next(pending.code for pending in claim.work.pending if isinstance(error, pending.error))
    detail = str(getattr(error, "detail", error))
    return CallResult(claim, Outcome.PENDING, {}, code, detail, getattr(error, "until", None))


def _failed(claim: Claim, error: Exception) -> CallResult:
    """Return a failed result, under the code that the step declares if it declares the error."""
    for declared in claim.work.failures:
        if isinstance(error, declared):
            detail = str(getattr(error, "detail", error))
            return CallResult(claim, Outcome.FAILED, {}, error_code(declared), detail)
    return _result(claim, Outcome.FAILED, error)


def _result(claim: Claim, outcome: Outcome, error: Exception) -> CallResult:
    """Return a result named by the error's ``code`` and ``detail``, or by its class and text."""
    code = getattr(error, "code", type(error).__name__)
    return CallResult(claim, outcome, {}, str(code), str(getattr(error, "detail", error)))
