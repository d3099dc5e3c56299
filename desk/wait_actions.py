"""Staff help a waiting order on: a later deadline, or a signal. Each commits with its audit row."""

import json
from collections.abc import Callable, Mapping, Set
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.urls import reverse

import approvals.services
import sagas.services
import sagas.signals
from approvals.states import ApprovalStatus
from clock.now import now
from desk import permissions
from desk.action_forms import ACTION_TEXTS
from desk.actions import ActionRequest, perform_once, record_action
from desk.audit_timeline import date_and_time
from desk.models import ActionKind, ActionOutcome, OperatorAction
from desk.order_detail import MAX_APPROVALS_SHOWN
from desk.order_state import OrderState, order_state
from sagas.errors import SignalRefused, UnknownWait
from sagas.queries.waits import WaitView


def extend(action: ActionRequest, waits_for: str, by: timedelta) -> OperatorAction:
    """Move the deadline of what the order waits for to ``by`` from now, or refuse; return the audit row.

    ``waits_for`` is what the operator saw that it waits for. A repeated or concurrent call with the
    same token returns the row of the first call and changes nothing. Raises TokenReused,
    Order.DoesNotExist, and DatabaseError if the order stays locked for too long.
    """
    return perform_once(action, partial(_execute, partial(_extend, waits_for, by)))


def send_signal(action: ActionRequest, name: str, payload: Mapping[str, Any]) -> OperatorAction:
    """Send a signal to the order's run, or refuse; return the audit row. Repeats as ``extend`` does.

    Also raises InvalidSignal for a payload that does not fit; then nothing is recorded.
    """
    return perform_once(action, partial(_execute, partial(_send_signal, name, payload)))


def extend_blocked(state: OrderState) -> str:
    """Return why an order has no deadline to extend; empty if it has one."""
    return "" if _wait(state) else "The order does not wait for anything."


def signal_blocked(state: OrderState, name: str) -> str:
    """Return why an order takes no signal of this name now; empty if it does."""
    allowed = [signal.name for signal in state.live.signals] if state.live else []
    if name in allowed:
        return ""
    listed = f"It takes: {', '.join(allowed)}." if allowed else "It takes no signal now."
    return f"The order does not take the signal {name} now. {listed}"


def wait_buttons(state: OrderState, operator: User) -> list[dict[str, str]]:
    """Return the buttons for a later deadline and for the signals that the order takes now."""
    order_id, buttons = state.order.pk, []
    if operator.has_perm(permissions.EXTEND) and not extend_blocked(state):
        buttons.append(
            {
                "kind": ActionKind.EXTEND.value,
                "label": ACTION_TEXTS[ActionKind.EXTEND].button,
                "url": reverse("admin:orders_order_extend", args=[order_id]),
            }
        )
    if operator.has_perm(permissions.SIGNAL) and state.live:
        buttons += [
            {
                "kind": f"signal-{signal.name}",
                "label": f"Send {signal.name}",
                "url": reverse("admin:orders_order_signal", args=[order_id, signal.name]),
            }
            for signal in state.live.signals
        ]
    return buttons


Act = Callable[[ActionRequest, OrderState], tuple[ActionOutcome, str]]


def _execute(act: Act, action: ActionRequest) -> OperatorAction:
    """Act and write the audit row in the caller's transaction, with the order's run locked."""
    sagas.services.lock_run(action.order_id)
    before = order_state(action.order_id)
    if not action.operator.has_perm(permissions.PERMISSION_OF[action.kind]):
        message = f"{action.operator.get_username()} may not {action.kind.label}."
        return record_action(action, before, ActionOutcome.REFUSED, message)
    outcome, message = act(action, before)
    return record_action(action, before, outcome, message)


def _extend(
    waits_for: str, by: timedelta, action: ActionRequest, state: OrderState
) -> tuple[ActionOutcome, str]:
    live, wait = state.live, _wait(state)
    if live is None or wait is None or wait.code != waits_for:
        return ActionOutcome.REFUSED, "The order does not wait for this any more."
    until = now() + by
    if until <= wait.until:
        later = f"The deadline is later already: {date_and_time(wait.until)} UTC."
        return ActionOutcome.REFUSED, later
    try:
        _move_deadlines(action, waits_for, until, {step.name for step in live.steps})
    except UnknownWait as error:
        undone = f"An open approval of the order names another wait ({error}). Decide it instead."
        return ActionOutcome.REFUSED, undone
    return ActionOutcome.DONE, f"The order waits until {date_and_time(until)} UTC."


@transaction.atomic
def _move_deadlines(
    action: ActionRequest, waits_for: str, until: datetime, known_steps: Set[str]
) -> None:
    """Move the deadline of the run's wait, and of the open approvals that it waits for.

    Raises UnknownWait, with nothing moved, if the saga has no wait of an approval's name any more.
    """
    open_approvals = approvals.services.newest_approvals(
        statuses=[ApprovalStatus.OPEN], subject_id=action.order_id, limit=MAX_APPROVALS_SHOWN
    )
    for approval in open_approvals:
        if approval.wait == waits_for or approval.wait not in known_steps:
            approvals.services.extend(approval.pk, until, action.operator.get_username())
    sagas.services.move_deadline(action.order_id, waits_for, until)


def _send_signal(
    name: str, payload: Mapping[str, Any], action: ActionRequest, state: OrderState
) -> tuple[ActionOutcome, str]:
    try:
        sagas.signals.send_signal(
            action.order_id,
            name,
            payload,
            key=str(action.token),
            actor=action.operator.get_username(),
        )
    except SignalRefused:
        return ActionOutcome.REFUSED, signal_blocked(state, name)
    shown = json.dumps(payload, ensure_ascii=False) if payload else "without fields"
    return ActionOutcome.DONE, f"The signal {name} is recorded: {shown}."


def _wait(state: OrderState) -> WaitView | None:
    return state.live.wait if state.live else None
