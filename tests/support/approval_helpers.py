"""Approvals for tests: open one without a saga, decide it, and read its row and its events.

Tests of waits have sagas of their own, in ``tests/approvals``.
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from approvals import services
from approvals.models import Approval
from approvals.services import Decided, NewApproval
from approvals.states import DecidedVia, Decision, DefaultAction
from events.models import OutboxEvent
from sagas.identifiers import new_id
from tests.support.clock import database_time

REVIEW: Final = "order_review"
QUESTION: Final = "Ship 40 mugs to a new customer?"
A_DAY: Final = timedelta(days=1)


def new_approval(
    subject_id: UUID,
    *,
    key: str = "",
    deadline: datetime | None = None,
    default: DefaultAction = DefaultAction.REJECT,
) -> NewApproval:
    """Return a review of an order that is due in a day."""
    due = deadline or database_time() + A_DAY
    return NewApproval(subject_id, new_id(), REVIEW, "await_review", QUESTION, due, default, key)


def open_approval(
    subject_id: UUID | None = None, *, key: str = "", deadline: datetime | None = None
) -> Approval:
    """Open a review of an order, by default of an unknown one, and return it."""
    new = new_approval(subject_id or new_id(), key=key, deadline=deadline)
    services.open_approvals([new])
    return Approval.objects.get(subject_id=new.subject_id, name=REVIEW, key=key)


def decide(
    approval: Approval,
    decision: Decision = Decision.APPROVE,
    *,
    actor: str = "grace",
    comment: str = "",
) -> Decided:
    """Decide an approval as staff do."""
    return services.decide(approval.pk, decision, actor=actor, via=DecidedVia.DESK, comment=comment)


def answer_of(approval: Approval) -> tuple[str, str, str, str]:
    """Return status, actor, way and comment, as they are stored now."""
    stored = Approval.objects.get(pk=approval.pk)
    return stored.status, stored.decided_by, stored.decided_via, stored.comment


def approval_events(subject_id: UUID) -> list[str]:
    """Return the names of the events about an order's approvals, oldest first."""
    found = OutboxEvent.objects.filter(key=subject_id, name__startswith="approval.").order_by("id")
    return list(found.values_list("name", flat=True))


def approval_and_event_counts() -> tuple[int, int]:
    """Return how many approvals and how many events there are."""
    return Approval.objects.count(), OutboxEvent.objects.count()
