"""The interface of approvals for other apps: open, decide, read, expire and extend them.

A wait step opens approvals when it begins, and reads their decisions in its condition. Both run under
the run's lock. Everything else that changes an approval locks the run first, then the approval.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Count, F, Q, QuerySet

import sagas.services
from approvals.events import ApprovalDecided, ApprovalExtended, ApprovalOpened
from approvals.models import Approval
from approvals.states import STATUS_OF, ApprovalStatus, DecidedVia, Decision, DefaultAction
from bulk_sql.statements import Insert, write
from clock.now import Now
from events.event_types import Event, Payload
from events.services import record


@dataclass(frozen=True, slots=True)
class NewApproval:
    """An approval to open. ``key`` is for several approvals of the same order and name."""

    subject_id: UUID
    correlation_id: UUID
    name: str
    wait: str  # the name of the wait step that goes on when it is decided
    question: str
    deadline: datetime
    default: DefaultAction
    key: str = ""


@dataclass(frozen=True, slots=True)
class Decided:
    """An approval after a request to decide it, and whether this request decided it."""

    approval: Approval
    decided_now: bool


@dataclass(frozen=True, slots=True)
class OpenApprovals:
    """How many approvals are open, and how many of these are past their deadline."""

    open: int
    past_deadline: int


@transaction.atomic
def open_approvals(new_approvals: Iterable[NewApproval]) -> None:
    """Open approvals, with an event for each one that did not exist.

    Repeating changes nothing. An approval that was decided before its wait begins keeps its decision.
    """
    rows = [
        Approval(
            subject_id=new.subject_id,
            correlation_id=new.correlation_id,
            name=new.name,
            key=new.key,
            wait=new.wait,
            question=new.question,
            deadline=new.deadline,
            default=new.default,
        )
        for new in sorted(new_approvals, key=lambda new: (new.subject_id, new.name, new.key))
    ]
    write(Insert(rows, "ON CONFLICT (subject_id, name, key) DO NOTHING"))
    # A row that existed has another id.
    opened = Approval.objects.filter(pk__in=[row.pk for row in rows]).order_by("pk")
    record(
        _event(
            approval,
            ApprovalOpened(
                approval_id=approval.pk,
                name=approval.name,
                deadline=approval.deadline,
                default=DefaultAction(approval.default),
            ),
        )
        for approval in opened
    )


@transaction.atomic
def decide(
    approval_id: UUID, decision: Decision, *, actor: str, via: DecidedVia, comment: str = ""
) -> Decided:
    """Decide an approval, and wake the run that waits for it. The first decision is final.

    Later and concurrent calls return the first decision, and change nothing. An expired approval
    cannot be decided any more; one past its deadline can, until its run has expired it. Raises
    Approval.DoesNotExist.
    """
    approval = Approval.objects.get(pk=approval_id)
    sagas.services.lock_run(approval.subject_id)
    decided_now = Approval.objects.filter(pk=approval_id, status=ApprovalStatus.OPEN).update(
        status=STATUS_OF[decision],
        decided_at=Now(),
        decided_by=actor,
        decided_via=via,
        comment=comment,
    )
    approval.refresh_from_db()
    if decided_now:
        record([_decided(approval)])
        sagas.services.nudge(subject_ids=[approval.subject_id])
    return Decided(approval, bool(decided_now))


def decisions(subject_ids: Collection[UUID], name: str, key: str = "") -> dict[UUID, Approval]:
    """Return the approvals of these orders that were approved or rejected.

    For the condition of a wait, which runs under the runs' locks. Leaves out open and expired ones.
    """
    found = Approval.objects.filter(
        subject_id__in=list(subject_ids), name=name, key=key, status__in=list(STATUS_OF.values())
    )
    return {approval.subject_id: approval for approval in found}


def expire(
    subject_ids: Collection[UUID], name: str, key: str = "", *, comment: str = ""
) -> list[UUID]:
    """Expire the open approvals of these orders, and return the orders that had one.

    For a wait that ends without a decision, in the transaction that ends it: past its deadline, or
    because the run compensates; ``comment`` says why. A later decision is refused. A wait whose
    approvals do not all promise the same calls ``end_overdue`` past its deadline.
    """
    open_ones = _open(subject_ids, name, key)
    return _expire(list(open_ones.values_list("pk", flat=True)), comment)


def end_overdue(
    subject_ids: Collection[UUID], name: str, key: str = "", *, comment: str = ""
) -> dict[UUID, DefaultAction]:
    """Return what the open approvals of these orders have promised for their deadline, by order.

    For a condition that does it: approve, reject, or leave it to an ``overdue`` that escalates.
    Expires them as ``expire`` does, except those that escalate: they stay open.
    """
    overdue = list(_open(subject_ids, name, key).values_list("pk", "subject_id", "default"))
    _expire([pk for pk, _, default in overdue if default != DefaultAction.ESCALATE], comment)
    return {subject_id: DefaultAction(default) for _, subject_id, default in overdue}


def _open(subject_ids: Collection[UUID], name: str, key: str) -> QuerySet[Approval]:
    return Approval.objects.filter(
        subject_id__in=list(subject_ids), name=name, key=key, status=ApprovalStatus.OPEN
    )


def _expire(ids: Collection[UUID], comment: str) -> list[UUID]:
    """Expire these approvals if they are open. Without ids, as usual, it opens no savepoint."""
    if not ids:
        return []
    with transaction.atomic():
        Approval.objects.filter(pk__in=ids, status=ApprovalStatus.OPEN).update(
            status=ApprovalStatus.EXPIRED,
            decided_at=Now(),
            decided_via=DecidedVia.DEADLINE,
            comment=comment,
        )
        expired = list(
            Approval.objects.filter(pk__in=ids, status=ApprovalStatus.EXPIRED).order_by("pk")
        )
        record(map(_decided, expired))
    return [approval.subject_id for approval in expired]


@transaction.atomic
def extend(approval_id: UUID, deadline: datetime, actor: str) -> bool:
    """Move the deadline of an open approval, and that of the run which waits for it.

    Returns False, with nothing changed, if it is decided. Raises Approval.DoesNotExist. Raises
    UnknownWait, with nothing changed, if the run's saga has no wait of the approval's name any more:
    one of the two deadlines alone is never moved.
    """
    approval = Approval.objects.get(pk=approval_id)
    sagas.services.lock_run(approval.subject_id)
    was_open = Approval.objects.filter(pk=approval_id, status=ApprovalStatus.OPEN).update(
        deadline=deadline
    )
    if was_open:
        extended = ApprovalExtended(
            approval_id=approval.pk, name=approval.name, deadline=deadline, actor=actor
        )
        record([_event(approval, extended)])
        sagas.services.move_deadline(approval.subject_id, approval.wait, deadline)
    return bool(was_open)


@transaction.atomic
def revoke_links(approval_id: UUID) -> None:
    """Revoke all links to an approval that exist. Raises Approval.DoesNotExist."""
    changed = Approval.objects.filter(pk=approval_id).update(
        link_generation=F("link_generation") + 1
    )
    if not changed:
        raise Approval.DoesNotExist


def peek(approval_id: UUID) -> Approval:
    """Return an approval as it is now. Raises Approval.DoesNotExist."""
    return Approval.objects.get(pk=approval_id)


def newest_approvals(
    *,
    statuses: Collection[ApprovalStatus] = (),
    subject_id: UUID | None = None,
    before: UUID | None = None,
    limit: int,
) -> list[Approval]:
    """Return approvals, newest first: at most ``limit``, opened before the one with the id ``before``.

    Without ``statuses`` those of every status, and without ``subject_id`` those of every order.
    """
    found = Approval.objects.order_by("-pk")
    if statuses:
        found = found.filter(status__in=list(statuses))
    if subject_id is not None:
        found = found.filter(subject_id=subject_id)
    if before is not None:
        found = found.filter(pk__lt=before)
    return list(found[:limit])


def statuses(approval_ids: Iterable[UUID]) -> Mapping[UUID, ApprovalStatus]:
    """Return the status of each of these approvals that exists, in one statement."""
    found = Approval.objects.filter(pk__in=list(approval_ids)).values_list("pk", "status")
    return {approval_id: ApprovalStatus(status) for approval_id, status in found}


def count_open() -> OpenApprovals:
    """Count the open approvals, in one statement that reads no others."""
    counted = Approval.objects.filter(status=ApprovalStatus.OPEN).aggregate(
        open=Count("pk"), past_deadline=Count("pk", filter=Q(deadline__lte=Now()))
    )
    return OpenApprovals(**counted)


def _decided(approval: Approval) -> Event:
    decided = ApprovalDecided(
        approval_id=approval.pk,
        name=approval.name,
        status=ApprovalStatus(approval.status),
        via=DecidedVia(approval.decided_via),
    )
    return _event(approval, decided)


def _event(approval: Approval, payload: Payload) -> Event:
    return Event(approval.subject_id, approval.correlation_id, payload)
