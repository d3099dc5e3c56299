"""What the world may ask of the engine: start a saga; turn a run back, retry, pause or resume it."""

import logging
from enum import Enum, auto
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from sagas import registry
from sagas.batch import Rejection
from sagas.bulk_sql import Change, Insert, write
from sagas.definition import Saga
from sagas.dispatch import dispatch
from sagas.models import HANDOVER, LIVE, Direction, RunStatus, SagaRun, StepAttempt

log = logging.getLogger(__name__)

_NOT_PAUSED: Final = {"paused_at": None, "needs_attention": False, "attention_reason": ""}


class CompensationRequest(Enum):
    """What became of the wish to turn a subject's run back."""

    REQUESTED = auto()  # the run's holder will turn it back before its next step
    UNDERWAY = auto()  # it is on its way back already, or was asked before
    TOO_LATE = auto()  # it runs, but is past the point where all can be undone
    ENDED = auto()  # no run of this subject is live


def start(saga: Saga, subject_id: UUID, correlation_id: UUID, *extra_changes: Change) -> SagaRun:
    """Start ``saga`` for a subject, in the caller's transaction, and queue it after its commit.

    ``extra_changes`` is written in the same statement. Starting again returns the run that exists. A crash
    before the commit leaves nothing; one after it leaves a run that the sweep finds. Raises
    IntegrityError while another saga of the same subject is live.
    """
    run = SagaRun(
        saga=saga.name,
        version=saga.version,
        subject_id=subject_id,
        correlation_id=correlation_id,
        step=saga.steps[0].name,
    )
    if not write(*extra_changes, Insert([run], "ON CONFLICT (saga, subject_id) DO NOTHING")):
        return SagaRun.objects.get(saga=saga.name, subject_id=subject_id)
    dispatch(run)
    return run


@transaction.atomic
def request_compensation(subject_id: UUID, reason: Rejection, actor: str) -> CompensationRequest:
    """Ask the live run of a subject to undo what it did.

    Only the wish is written; whoever holds the run acts on it before the next step, or on the way
    out of the call that is in flight. It is paused no longer: from here it only gives back. The
    first wish counts, later ones change nothing. The run's row stays locked until the caller's
    transaction ends.
    """
    run = SagaRun.objects.select_for_update(no_key=True).filter(
        subject_id=subject_id, status__in=LIVE
    ).first()  # fmt: skip
    if run is None:
        return CompensationRequest.ENDED
    if run.status == RunStatus.COMPENSATING or run.compensation_requested_at is not None:
        return CompensationRequest.UNDERWAY
    saga = registry.get(run.saga, run.version)
    if not saga.can_compensate_at(saga.step(run.step)):
        return CompensationRequest.TOO_LATE
    SagaRun.objects.filter(pk=run.pk).update(
        compensation_requested_at=Now(),
        reason=reason.code,
        reason_detail=reason.detail,
        actor=actor,
        not_before=None,
        wake_at=_soon(run),
        **(_NOT_PAUSED if run.paused_at is not None else {}),
    )
    dispatch(run)
    return CompensationRequest.REQUESTED


@transaction.atomic
def retry_now(run_id: UUID) -> bool:
    """Forget every back-off of a live run, clear its flag, and queue it; True if it was live.

    An attempt that is under way keeps its lease. A paused run stays paused, and flagged.
    """
    run = SagaRun.objects.select_for_update(no_key=True).filter(
        pk=run_id, status__in=LIVE
    ).first()  # fmt: skip
    if run is None:
        return False
    SagaRun.objects.filter(pk=run.pk).update(
        tries=0,
        not_before=None,
        redispatch_count=0,
        needs_attention=run.paused_at is not None,
        attention_reason=run.attention_reason if run.paused_at else "",
        wake_at=_soon(run),
    )
    StepAttempt.objects.filter(
        run=run, direction=Direction.COMPENSATING, not_before__isnull=False
    ).update(not_before=None)
    dispatch(run)
    return True


def lock_run(subject_id: UUID) -> None:
    """Let nobody move a subject's newest run until the caller's transaction ends.

    For whoever reads where it stands and then decides. Locks the run, so before its order.
    """
    newest = SagaRun.objects.filter(subject_id=subject_id).order_by("-created_at")
    newest.select_for_update(no_key=True).first()


@transaction.atomic
def hold(subject_id: UUID, reason: str, actor: str) -> bool:
    """Freeze the live run of a subject because a person wants it so; True if it is paused now.

    As ``pause``, with the name of who holds it. The reason is for people, and is not logged.
    """
    run = _pausable(subject_id)
    if run is None:
        return False
    if run.paused_at is None:
        SagaRun.objects.filter(pk=run.pk).update(
            paused_at=Now(), needs_attention=True, attention_reason=f"held by {actor}: {reason}"
        )
        log.warning("run.held", extra={"subject_id": str(subject_id)})
    return True


@transaction.atomic
def pause(subject_id: UUID, reason: str) -> bool:
    """Let the live run of a subject take no further step forward; True if it is paused now.

    False where nothing goes forward: no run is live, it is on its way back or was asked to turn
    back, or its saga only gives back. What a worker has claimed already is still settled, and may
    yet turn the run back or end it: then it is paused no longer. Again changes nothing. The run's
    row stays locked until the caller's transaction ends, so a caller that looks once more under
    this lock, and finds no reason, rolls back and has paused nothing.
    """
    run = _pausable(subject_id)
    if run is None:
        return False
    if run.paused_at is None:
        SagaRun.objects.filter(pk=run.pk).update(
            paused_at=Now(), needs_attention=True, attention_reason=f"paused: {reason}"
        )
        log.error("run.paused", extra={"subject_id": str(subject_id), "reason": reason})
    return True


@transaction.atomic
def resume(subject_id: UUID) -> bool:
    """Let a subject's paused run go on, and queue it; True if one was paused.

    For a person who has looked: nothing paused goes on by itself. An attempt that is under
    way keeps its lease.
    """
    run = SagaRun.objects.select_for_update(no_key=True).filter(
        subject_id=subject_id, status=RunStatus.RUNNING, paused_at__isnull=False
    ).first()  # fmt: skip
    if run is None:
        return False
    SagaRun.objects.filter(pk=run.pk).update(redispatch_count=0, wake_at=_soon(run), **_NOT_PAUSED)
    log.warning("run.resumed", extra={"subject_id": str(subject_id)})
    dispatch(run)
    return True


def _pausable(subject_id: UUID) -> SagaRun | None:
    """Lock the live run of a subject, if it goes forward and takes something."""
    run = SagaRun.objects.select_for_update(no_key=True).filter(
        subject_id=subject_id, status=RunStatus.RUNNING, compensation_requested_at__isnull=True
    ).first()  # fmt: skip
    if run is None or registry.get(run.saga, run.version).compensating_only:
        return None
    return run


def _soon(run: SagaRun) -> object:
    """When the sweep looks if the message sent now is lost; an unexpired lease is waited for."""
    if run.leased_until is not None:
        return run.leased_until
    return Now() + HANDOVER
