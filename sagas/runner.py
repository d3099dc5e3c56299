"""Carries runs: claim, call, settle, until nothing is left for this worker.

Each remote step passes through three moments::

    claim    a phase's transaction: the attempt is journalled, the run leased, the fence raised
    call     outside any transaction
    settle   the next phase's transaction: the answer, what follows from it, the next claim

A crash between any two of them leaves a started attempt behind. Once its lease has run out the
sweep has another worker find out what became of it.
"""

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar, cast
from uuid import UUID

from django.conf import settings
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    close_old_connections,
    connection,
    transaction,
)

from sagas.definition import Attempt, Link, Output, Saga
from sagas.errors import LeaseLost
from sagas.group_commit import GroupCommit
from sagas.log_context import naming
from sagas.models import Outcome, SagaRun
from sagas.phase import Phase
from sagas.row_sets import select
from sagas.verdicts import Arrival, Claim, Reply, Stop, Verdict

log = logging.getLogger(__name__)
T = TypeVar("T")


class Runner:
    """Carries the runs of one saga along one link; made once in each process."""

    def __init__(self, saga: Saga, link: Link) -> None:
        self.saga = saga
        self.link = link
        self._phases = GroupCommit[Arrival, Verdict](self._together, self._alone)
        self._checkpoints = GroupCommit[Checkpoint, object](write_together, write_alone)
        self._take_threads()
        # Threads are not inherited.
        os.register_at_fork(after_in_child=self._take_threads)

    def carry_all(self, run_ids: Sequence[UUID]) -> list[Verdict]:
        """Carry runs at the same time, each as ``carry`` does, and settle each as its call returns.

        What one of them raises ends that one only, and is logged; if all raise, so does this.
        """
        if len(run_ids) == 1:
            return [self.carry(run_ids[0])]
        carried = [
            # Lines name the message's task there, too.
            self._threads.submit(copy_context().run, self._carry_in_thread, each)
            for each in run_ids
        ]
        errors = [error for each in carried if (error := each.exception())]
        if len(errors) == len(carried):
            raise errors[0]
        for run_id, each in zip(run_ids, carried, strict=True):
            if error := each.exception():
                log.error("carry.failed", exc_info=error, extra={"run_id": str(run_id)})
        return [Stop() if each.exception() else each.result() for each in carried]

    def _carry_in_thread(self, run_id: UUID) -> Verdict:
        close_old_connections()  # one that a restart has cut would fail this run
        return self.carry(run_id)

    def _take_threads(self) -> None:
        """Have threads to carry runs in; none begins before there is one for it."""
        self._threads = ThreadPoolExecutor(settings.SAGAS_RUNS_AT_ONCE)

    def carry(self, run_id: UUID) -> Verdict:
        """Take a run as far as it goes on this link.

        Safe to call at any time, any number of times, from any number of workers: whoever does
        not find the run free at a step of this link changes nothing. Never returns a Claim.
        Raises DatabaseError when the database does not answer; the sweep comes back to the run.
        """
        verdict = self._phases.submit(Arrival(run_id))
        while isinstance(verdict, Claim):
            with naming(**verdict.names, saga=self.saga.name):
                try:
                    reply = ask(verdict, HeldAttempt(verdict, self._checkpoints))
                except LeaseLost:
                    log.warning("lease.lost")
                    return Stop()
            verdict = self._phases.submit(Arrival(run_id, reply))
        return verdict

    def _together(self, arrivals: list[Arrival]) -> list[Verdict]:
        with naming(saga=self.saga.name, runs=len(arrivals)):
            return Phase(self.saga, self.link, arrivals).perform()

    def _alone(self, arrival: Arrival) -> Verdict:
        with naming(**arrival.names, saga=self.saga.name):
            return self._carry_out(arrival)

    def _carry_out(self, arrival: Arrival) -> Verdict:
        """Carry out one run's phase; if it raises, save the answer first and then the error."""
        connection.close_if_unusable_or_obsolete()
        phase = Phase(self.saga, self.link, [arrival])
        try:
            return phase.perform()[0]
        except Exception as error:
            is_outage = _is_outage(error)
            if not is_outage:
                log.exception("phase.failed")
            if arrival.reply is not None:
                self._settle_alone(arrival)
            if is_outage or phase.working_on is None:
                raise
            failure = (phase.working_on, error)
            journalled = Phase(self.saga, self.link, [Arrival(arrival.run_id)], failure=failure)
            return journalled.perform()[0]

    def _settle_alone(self, arrival: Arrival) -> None:
        """Write down what the far side said, whatever else went wrong.

        It is lost only where the database is away too; then the next attempt asks again. Where
        even recording it raises, the attempt counts as failed and keeps the answer; the next
        attempt asks again and finds the same.
        """
        connection.close_if_unusable_or_obsolete()
        try:
            Phase(self.saga, self.link, [arrival], settle_only=True).perform()
        except Exception as error:
            if arrival.reply is None or _is_outage(error):
                raise
            failed = replace(
                arrival.reply,
                outcome=Outcome.FAILED,
                error=type(error).__name__,
                detail=str(error),
            )
            kept = Arrival(arrival.run_id, failed)
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


class HeldAttempt:
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


def ask(claim: Claim, attempt: Attempt) -> Reply:
    """Make the call of a claimed step and sort what comes of it, as its definition says."""
    work = claim.work
    try:
        output: Output = work.call(attempt)
    except LeaseLost:
        raise
    except work.refused_by as error:
        return _reply(claim, Outcome.REFUSED, error)
    except work.transient as error:
        return _reply(claim, Outcome.TRANSIENT, error)
    except work.unknown as error:
        return _reply(claim, Outcome.UNKNOWN, error)
    except Exception as error:
        log.exception("call.failed")
        return _reply(claim, Outcome.FAILED, error)
    return Reply(claim, Outcome.DONE, output)


def _reply(claim: Claim, outcome: Outcome, error: Exception) -> Reply:
    """A refusal may bring a stable ``code`` and ``detail``; other errors are named by their class."""
    code = getattr(error, "code", type(error).__name__)
    return Reply(claim, outcome, {}, str(code), str(getattr(error, "detail", error)))
