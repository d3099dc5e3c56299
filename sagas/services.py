"""What other apps may request of the engine: start a saga; compensate, retry, pause, resume or move a run."""

import logging
from datetime import datetime
from enum import Enum, auto
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Greatest

from bulk_sql.statements import Change
from clock.now import Now
from sagas import registry
from sagas.batch import NewRun, Output, Rejection
from sagas.definition import Saga
from sagas.dispatch import dispatch
from sagas.errors import UnknownWait
from sagas.models import LIVE, MESSAGE_GRACE, Direction, RunStatus, SagaRun, StepAttempt
from sagas.moving import move_all_to_newest, move_to_newest
from sagas.new_runs import insert_run
from sagas.nudges import nudge
from sagas.pause_reasons import PauseReason
from sagas.run_state import PAST_DEADLINE

__all__ = [
    "CompensationRequest",
    "is_calling",
    "lock_run",
    "move_all_to_newest",
    "move_deadline",
    "move_to_newest",
    "nudge",
    "pause",
    "request_compensation",
    "resume",
    "retry_now",
    "start",
]

log = logging.getLogger(__name__)

_NOT_PAUSED: Final = {"paused_at": None, "pause_reason": ""}
_NOT_FLAGGED: Final = {"needs_attention": False, "attention_reason": ""}


class CompensationRequest(Enum):
    """The result of a request to compensate a subject's run."""

    REQUESTED = auto()  # the run compensates before its next step
    ALREADY_REQUESTED = auto()  # the run compensates already, or an earlier request is stored
    TOO_LATE = auto()  # it is past the point from which all steps can be compensated
    ENDED = auto()  # no run of this subject is live


def start(
    saga: Saga,
    subject_id: UUID,
    correlation_id: UUID,
    *extra_changes: Change,
    key: str = "",
    input: Output | None = None,  # noqa: A002 - the column's name
) -> SagaRun:
    """Start ``saga`` for a subject, in the caller's transaction, and queue it after its commit.

    ``extra_changes`` are written in the same statement. ``key`` is unique for each saga, by default
    the subject's id. Starting again with it returns the run that exists, with its first ``input``.
    A crash before the commit leaves nothing; a crash after it leaves a run that the sweep finds.
    Raises IntegrityError while another run of the same subject is live.
    """
    new = NewRun(saga.name, subject_id, correlation_id, key or str(subject_id), input or {})
    run = insert_run(saga, new, *extra_changes)
    return run or SagaRun.objects.get(saga=saga.name, key=new.key)


@transaction.atomic
def request_compensation(subject_id: UUID, reason: Rejection, actor: str) -> CompensationRequest:
    """Request that the live run of a subject compensates what it did.

    Writes the request only. A worker acts on it before the run's next step, or when the call in
    flight returns. The run is no longer paused. The first request counts; later ones change
    nothing. The run's row stays locked until the caller's transaction ends.
    """
    run = SagaRun.objects.select_for_update(no_key=True).filter(
        subject_id=subject_id, status__in=LIVE
    ).first()  # fmt: skip
    if run is None:
        return CompensationRequest.ENDED
    if run.status == RunStatus.COMPENSATING or run.compensation_requested_at is not None:
        return CompensationRequest.ALREADY_REQUESTED
    saga = registry.get(run.saga, run.version)
    if not saga.can_compensate_at(saga.step(run.step)):
        return CompensationRequest.TOO_LATE
    SagaRun.objects.filter(pk=run.pk).update(
        compensation_requested_at=Now(),
        reason=reason.code,
        reason_detail=reason.detail,
        actor=actor,
        not_before=None,
        wake_at=_soonest_wake_at(run),
        **(_NOT_PAUSED | _NOT_FLAGGED if run.paused_at is not None else {}),
    )
    dispatch(run)
    return CompensationRequest.REQUESTED


@transaction.atomic
def retry_now(run_id: UUID) -> bool:
    """End every back-off of a live run, clear its flag, and queue it; return whether it was live.

    ``retry_count`` restarts at 0, so the step has all its retries again. A call in flight keeps its
    lease. A paused run stays paused, and flagged. A run that waits past a deadline stays flagged.
    """
    run = SagaRun.objects.select_for_update(no_key=True).filter(
        pk=run_id, status__in=LIVE
    ).first()  # fmt: skip
    if run is None:
        return False
    SagaRun.objects.filter(pk=run.pk).update(
        retry_count=0,
        tries=0,
        not_before=None,
        redispatch_count=0,
        wake_at=_soonest_wake_at(run),
        **({} if run.paused_at or run.escalations else _NOT_FLAGGED),
    )
    StepAttempt.objects.filter(
        run=run, direction=Direction.COMPENSATING, not_before__isnull=False
    ).update(not_before=None)
    dispatch(run)
    return True


@transaction.atomic
def move_deadline(subject_id: UUID, waits_for: str, until: datetime) -> bool:
    """Move the deadline of what the live run of a subject waits for; return whether it does wait for it.

    The run's flag for a deadline that has passed is cleared. A look at a pending call that is due
    earlier stays due. The run's row stays locked until the caller's transaction ends. Raises
    UnknownWait if its saga has no wait of this name, such as one that was renamed since.
    """
    run = SagaRun.objects.select_for_update(no_key=True).filter(
        subject_id=subject_id, status__in=LIVE
    ).first()  # fmt: skip
    if run is None or not waits_for:
        return False
    if run.waits_for != waits_for:
        saga = registry.find(run.saga, run.version)
        if saga is not None and waits_for not in saga.wait_texts:
            raise UnknownWait(run.saga, run.version, waits_for)
        return False
    is_compensating = run.status == RunStatus.COMPENSATING
    wake_at = run.leased_until or min(until, run.not_before or until)
    SagaRun.objects.filter(pk=run.pk).update(
        waiting_until=until,
        # A run that compensates wakes for the next look of any of its compensations.
        wake_at=run.wake_at if is_compensating else wake_at,
        escalations=0,
        **({} if run.paused_at else _NOT_FLAGGED),
    )
    return True


def is_calling(subject_id: UUID) -> bool:
    """Return whether the live run of a subject has a call whose result is not settled yet.

    Under the run's lock, no call starts until the caller's transaction ends.
    """
    in_call = SagaRun.objects.filter(
        subject_id=subject_id, status__in=LIVE, leased_until__isnull=False
    )
    return in_call.exists()


def lock_run(subject_id: UUID) -> None:
    """Lock a subject's newest run until the caller's transaction ends.

    For callers that read the run's state and then decide. Lock the run before its order.
    """
    newest = SagaRun.objects.filter(subject_id=subject_id).order_by("-created_at")
    newest.select_for_update(no_key=True).first()


@transaction.atomic
def pause(subject_id: UUID, reason: PauseReason, detail: str, actor: str) -> bool:
    """Pause the live run of a subject, so that it starts no further step; return whether it is paused.

    Returns False if no run is live, if it compensates or was requested to, or if its saga only
    compensates. A call in flight is still settled; if that ends the run or makes it compensate, the
    run is no longer paused. Pausing a paused run changes nothing, and keeps the first reason.

    ``detail`` and ``actor`` (a username, or the code of an invariant) are for people, and are not
    logged. The run's row stays locked until the caller's transaction ends, so callers may check
    once more under this lock and roll back to undo the pause.
    """
    run = _pausable(subject_id)
    if run is None:
        return False
    if run.paused_at is None:
        SagaRun.objects.filter(pk=run.pk).update(
            paused_at=Now(),
            pause_reason=reason,
            needs_attention=True,
            attention_reason=f"paused by {actor}: {detail}",
        )
        extra = {"subject_id": str(subject_id), "reason": str(reason)}
        if reason == PauseReason.MONEY_IN_DOUBT:
            log.error("run.paused", extra=extra)
        else:
            log.warning("run.paused", extra=extra)
    return True


@transaction.atomic
def resume(subject_id: UUID) -> bool:
    """Resume the paused run of a subject, and queue it; return whether one was paused.

    For a person who has checked it: no paused run goes on by itself. A call in flight keeps its
    lease. A run that waits past a deadline stays flagged.
    """
    run = SagaRun.objects.select_for_update(no_key=True).filter(
        subject_id=subject_id, status=RunStatus.RUNNING, paused_at__isnull=False
    ).first()  # fmt: skip
    if run is None:
        return False
    flag: dict[str, Any] = (
        {"attention_reason": f"{PAST_DEADLINE}."} if run.escalations else _NOT_FLAGGED
    )
    SagaRun.objects.filter(pk=run.pk).update(
        redispatch_count=0, wake_at=_next_wake_at(run), **_NOT_PAUSED, **flag
    )
    extra = {"subject_id": str(subject_id), "reason": run.pause_reason}
    log.warning("run.resumed", extra=extra)
    dispatch(run)
    return True


def _pausable(subject_id: UUID) -> SagaRun | None:
    """Lock and return the live run of a subject if it can be paused; None if it cannot."""
    run = SagaRun.objects.select_for_update(no_key=True).filter(
        subject_id=subject_id, status=RunStatus.RUNNING, compensation_requested_at__isnull=True
    ).first()  # fmt: skip
    if run is None or registry.get(run.saga, run.version).compensating_only:
        return None
    return run


def _soonest_wake_at(run: SagaRun) -> object:
    """Return when the sweep looks if the message sent now is lost: not before the lease ends."""
    return run.leased_until or Now() + MESSAGE_GRACE


def _next_wake_at(run: SagaRun) -> object:
    """Return that for a run that keeps its back-off: not before it ends."""
    if run.leased_until is None and run.not_before is not None:
        return Greatest(Now() + MESSAGE_GRACE, Value(run.not_before))
    return _soonest_wake_at(run)
