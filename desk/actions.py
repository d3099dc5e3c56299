"""Executes staff actions on one order. Each action and its audit row commit in one transaction."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction

import orders.services
import sagas.services
from access.os_user import ShellUser
from desk.models import ActionKind, ActionOutcome, OperatorAction
from desk.order_state import OrderState, blocked_reason, order_state, required_permission
from desk.permissions import Operator
from sagas.pause_reasons import PauseReason

SINGLE_ORDER_ACTIONS: Final = (
    ActionKind.RETRY,
    ActionKind.CANCEL,
    ActionKind.PAUSE,
    ActionKind.RESUME,
    ActionKind.NOTE,
)

CANCELLED_BY_STAFF: Final = "cancelled_by_staff"
"""The reason code that the customer sees as a sentence. The staff's own reason stays at the desk."""


class TokenReused(Exception):
    """A form was sent with the token of another action: the form is stale or was changed."""


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """An action that a member of staff has confirmed. The token is the form's, and unique."""

    kind: ActionKind
    order_id: UUID
    operator: Operator
    reason: str
    token: UUID


def perform(action: ActionRequest) -> OperatorAction:
    """Execute or refuse an action, and return its audit row.

    A repeated or concurrent call with the same token returns the row of the first call and changes
    nothing. Raises TokenReused, Order.DoesNotExist, and DatabaseError if the order stays locked
    for too long; then nothing has changed.
    """
    return perform_once(action, execute)


def perform_once(
    action: ActionRequest, execute_action: Callable[[ActionRequest], OperatorAction]
) -> OperatorAction:
    """Run ``execute_action`` in a transaction, unless the token was used; see ``perform``."""
    if earlier := _earlier(action):
        return earlier
    try:
        with transaction.atomic():
            return execute_action(action)
    except IntegrityError:
        if earlier := _earlier(action):
            return earlier
        raise


def execute(action: ActionRequest) -> OperatorAction:
    """Act and write the audit row in the caller's transaction, with the order's run locked."""
    sagas.services.lock_run(action.order_id)
    before = order_state(action.order_id)
    message = _blocked_reason(action, before)
    outcome = ActionOutcome.REFUSED if message else ActionOutcome.DONE
    if not message:
        message = _act(action, before)
    return record_action(action, before, outcome, message)


def record_action(
    action: ActionRequest, before: OrderState, outcome: ActionOutcome, message: str
) -> OperatorAction:
    """Write the audit row of an action, with the order's state before and now."""
    after = order_state(action.order_id) if outcome == ActionOutcome.DONE else before
    return OperatorAction.objects.create(
        token=action.token,
        **_actor_columns(action.operator),
        kind=action.kind,
        order=before.order,
        reason=action.reason,
        outcome=outcome,
        message=message,
        before=before.summary(),
        after=after.summary(),
    )


def _actor_columns(operator: Operator) -> dict[str, Any]:
    """Return the columns of an audit row that name the actor."""
    if isinstance(operator, ShellUser):
        return {"operator": None, "shell_user": operator.get_username()}
    return {"operator": operator, "shell_user": ""}


def _blocked_reason(action: ActionRequest, state: OrderState) -> str:
    message = blocked_reason(action.kind, state, action.operator)
    if message or action.operator.has_perm(required_permission(action.kind, state)):
        return message
    return f"{action.operator.get_username()} may not {action.kind.label} orders."


def _act(action: ActionRequest, state: OrderState) -> str:
    """Carry out an action that is allowed, and return a sentence on what follows."""
    actor = action.operator.get_username()
    match action.kind:
        case ActionKind.RETRY:
            return _retry(state)
        case ActionKind.CANCEL:
            orders.services.cancel_order(action.order_id, reason=CANCELLED_BY_STAFF, actor=actor)
            if state.live:
                return "The run compensates every step that was done, before it starts another one."
            return "The money is refunded, and the stock is available again."
        case ActionKind.PAUSE:
            sagas.services.pause(action.order_id, PauseReason.STAFF, action.reason, actor)
            return (
                "The order starts no further step until it is resumed. It can still be cancelled."
            )
        case ActionKind.RESUME:
            sagas.services.resume(action.order_id)
            return "The order continues at its current step."
        case ActionKind.NOTE:
            return "The note was added."
    raise ValueError(action.kind)


def _retry(state: OrderState) -> str:
    run = state.live
    assert run is not None  # noqa: S101 - blocked_reason was empty
    sagas.services.retry_now(run.id)
    if run.is_leased:
        return "A call is in progress. After it the run continues at once."
    return "The back-off is cleared, and the run is queued."


def _earlier(action: ActionRequest) -> OperatorAction | None:
    """Return the audit row of an earlier use of the token. Raises TokenReused if it was another action."""
    earlier = OperatorAction.objects.select_related("operator").filter(token=action.token).first()
    if earlier is None:
        return None
    same = (earlier.kind, earlier.order_id, earlier.actor)
    if same != (action.kind, action.order_id, action.operator.get_username()):
        raise TokenReused
    return earlier
