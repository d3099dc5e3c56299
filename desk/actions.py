"""What a person may do to one order. Each act and its audit row are one transaction."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction

import orders.services
import sagas.services
from access.os_user import ShellUser
from desk.models import ActionKind, ActionOutcome, OperatorAction
from desk.order_state import OrderState, blocked_reason, needed_for, order_state
from desk.permissions import Operator

OF_ONE_ORDER: Final = (
    ActionKind.RETRY,
    ActionKind.CANCEL,
    ActionKind.PAUSE,
    ActionKind.RESUME,
    ActionKind.NOTE,
)

CANCELLED_BY_STAFF: Final = "cancelled_by_staff"
"""The reason that the customer is given words for; the operator's own stay at the desk."""


class TokenTaken(Exception):
    """A form was sent with the token of another act: it was tampered with, or its page is stale."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An act that a person has confirmed, under a token that is used once, such as the form's."""

    kind: ActionKind
    order_id: UUID
    operator: Operator
    reason: str
    token: UUID


def perform(asked: Asked) -> OperatorAction:
    """Do it, or refuse it in words; return the audit row that says so.

    Sent again, also at the same moment, it finds the row of the first time and does nothing: the
    token is unique, and who comes second rolls back. Raises TokenTaken, Order.DoesNotExist, and
    DatabaseError where the order is locked for too long; then nothing has changed.
    """
    if earlier := _earlier(asked):
        return earlier
    try:
        with transaction.atomic():
            return carry_out(asked)
    except IntegrityError:
        if earlier := _earlier(asked):
            return earlier
        raise


def carry_out(asked: Asked) -> OperatorAction:
    """Act and write the audit row, in the caller's transaction, which keeps the order's run still."""
    sagas.services.lock_run(asked.order_id)
    before = order_state(asked.order_id)
    told = _blocked_reason(asked, before)
    outcome = ActionOutcome.REFUSED if told else ActionOutcome.DONE
    if not told:
        told = _act(asked, before)
    after = order_state(asked.order_id) if outcome == ActionOutcome.DONE else before
    return OperatorAction.objects.create(
        token=asked.token,
        **_who(asked.operator),
        kind=asked.kind,
        order=before.order,
        reason=asked.reason,
        outcome=outcome,
        told=told,
        before=before.in_words(),
        after=after.in_words(),
    )


def _who(operator: Operator) -> dict[str, Any]:
    """Return the columns of an audit row that say who acts."""
    if isinstance(operator, ShellUser):
        return {"operator": None, "shell_user": operator.get_username()}
    return {"operator": operator, "shell_user": ""}


def _blocked_reason(asked: Asked, state: OrderState) -> str:
    told = blocked_reason(asked.kind, state, asked.operator)
    if told or asked.operator.has_perm(needed_for(asked.kind, state)):
        return told
    return f"{asked.operator.get_username()} may not {asked.kind.label} orders."


def _act(asked: Asked, state: OrderState) -> str:
    """Do what nothing speaks against, and say what follows."""
    actor = asked.operator.get_username()
    match asked.kind:
        case ActionKind.RETRY:
            return _retry(state)
        case ActionKind.CANCEL:
            orders.services.cancel_order(asked.order_id, reason=CANCELLED_BY_STAFF, actor=actor)
            if state.live:
                return "It turns back before its next step, and everything that was done is undone."
            return "Its money goes back to the customer, and its stock to the shelf."
        case ActionKind.PAUSE:
            sagas.services.hold(asked.order_id, asked.reason, actor)
            return "It goes no step further until somebody releases it. It can still be cancelled."
        case ActionKind.RESUME:
            sagas.services.resume(asked.order_id)
            return "It goes on from where it stood."
        case ActionKind.NOTE:
            return "Noted."
    raise ValueError(asked.kind)


def _retry(state: OrderState) -> str:
    run = state.live
    assert run is not None  # noqa: S101 - objected to before
    sagas.services.retry_now(run.id)
    if run.is_leased:
        return "A worker is asking at this moment; whatever it is told, nothing waits after it."
    return "Its back-off is forgotten, and it is on the queue."


def _earlier(asked: Asked) -> OperatorAction | None:
    """What this form did before. Raises TokenTaken where that was something else."""
    earlier = OperatorAction.objects.select_related("operator").filter(token=asked.token).first()
    if earlier is None:
        return None
    same = (earlier.kind, earlier.order_id, earlier.actor)
    if same != (asked.kind, asked.order_id, asked.operator.get_username()):
        raise TokenTaken
    return earlier
