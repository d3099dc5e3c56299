"""Staff decide approvals. A decision and its audit row commit in one transaction."""

from functools import partial
from uuid import UUID

import approvals.services
import sagas.services
from approvals.models import Approval
from approvals.states import ApprovalStatus, DecidedVia, Decision, DefaultAction
from desk import permissions
from desk.actions import ActionRequest, perform_once, record_action
from desk.models import ActionKind, ActionOutcome, OperatorAction
from desk.order_state import order_state

KIND_OF = {Decision.APPROVE: ActionKind.APPROVE, Decision.REJECT: ActionKind.REJECT}
"""The kind of action of each decision."""

DEFAULT_TEXTS = {
    DefaultAction.APPROVE: "without a decision the order goes on",
    DefaultAction.REJECT: "without a decision the order is cancelled",
    DefaultAction.ESCALATE: "without a decision the order waits on, and staff are called",
}
"""What happens at the deadline of an approval."""


def decide(approval_id: UUID, action: ActionRequest) -> OperatorAction:
    """Decide an approval of the action's order, or refuse, and return the audit row.

    A repeated or concurrent call with the same token returns the row of the first call and changes
    nothing. Raises TokenReused, Order.DoesNotExist, Approval.DoesNotExist, and DatabaseError if the
    order stays locked for too long; then nothing has changed.
    """
    return perform_once(action, partial(_decide, approval_id))


def decided_before(approval: Approval) -> str:
    """Return how and when an approval was decided; empty while it is open."""
    if approval.is_open or approval.decided_at is None:
        return ""
    at = f"{approval.decided_at:%Y-%m-%d %H:%M:%S} UTC"
    if approval.status == ApprovalStatus.EXPIRED:
        return f"It has expired without a decision at {at}."
    return f"It was {approval.status} by {approval.decided_by} at {at}. A decision is final."


def _decide(approval_id: UUID, action: ActionRequest) -> OperatorAction:
    sagas.services.lock_run(action.order_id)
    before = order_state(action.order_id)
    actor = action.operator.get_username()
    if not action.operator.has_perm(permissions.DECIDE):
        message = f"{actor} may not decide approvals."
        return record_action(action, before, ActionOutcome.REFUSED, message)
    decision = Decision(action.kind.value)
    decided = approvals.services.decide(
        approval_id, decision, actor=actor, via=DecidedVia.DESK, comment=action.reason
    )
    if not decided.decided_now:
        message = decided_before(decided.approval)
        return record_action(action, before, ActionOutcome.REFUSED, message)
    message = f"The {decided.approval.label} is {decided.approval.status}."
    return record_action(action, before, ActionOutcome.DONE, message)
