"""The current state of one order, and the actions that it allows."""

from dataclasses import dataclass
from uuid import UUID

from desk import permissions
from desk.models import ActionKind
from desk.permissions import Operator
from invariants.break_store import breaks_about
from invariants.models import ReconciliationBreak
from orders.models import Order
from orders.states import OrderStatus
from sagas.queries.runs import RunDetail, Stage, runs_of


@dataclass(frozen=True)
class OrderState:
    """One order, its runs with their steps, and the invariant breaks about it."""

    order: Order
    runs: list[RunDetail]
    breaks: list[ReconciliationBreak]

    @property
    def newest(self) -> RunDetail | None:
        return self.runs[-1] if self.runs else None

    @property
    def live(self) -> RunDetail | None:
        return self.newest if self.newest and self.newest.is_live else None

    @property
    def paused(self) -> RunDetail | None:
        """The run that staff or an invariant paused."""
        return next((run for run in self.runs if run.is_paused), None)

    @property
    def paused_by(self) -> list[str]:
        """The codes of the invariants that paused the run, or found it already paused."""
        run = self.paused
        if run is None or run.paused_at is None:
            return []
        since = run.paused_at
        return [
            break_.code
            for break_ in self.breaks
            if break_.order_paused_at is not None and break_.order_paused_at >= since
        ]

    def summary(self) -> str:
        """The state in a few words, as audit rows store it."""
        parts = [str(self.order.status)]
        if self.live:
            parts.append(_position(self.live))
            if self.live.wait:
                parts.append(f"waiting until {self.live.wait.until:%Y-%m-%d %H:%M:%S}")
        if self.paused:
            parts.append("paused")
        elif self.live and self.live.needs_attention:
            parts.append("flagged")
        return ", ".join(parts)


def order_state(order_id: UUID) -> OrderState:
    """Read the state of an order. Raises Order.DoesNotExist."""
    order = Order.objects.select_related("customer").get(pk=order_id)
    return OrderState(order, runs_of(order_id), breaks_about(order_id))


def required_permission(kind: ActionKind, state: OrderState) -> str:
    """Return the permission that an action on this order needs."""
    if kind == ActionKind.RESUME and state.paused_by:
        return permissions.RESUME_UNRESOLVED
    return permissions.PERMISSION_OF[kind]


def blocked_reason(kind: ActionKind, state: OrderState, operator: Operator) -> str:
    """Return why the order's state blocks an action, and what to do instead; empty if it is allowed."""
    match kind:
        case ActionKind.RETRY:
            return _retry_blocked(state)
        case ActionKind.CANCEL:
            return _cancel_blocked(state)
        case ActionKind.PAUSE:
            return _pause_blocked(state)
        case ActionKind.RESUME:
            return _resume_blocked(state, operator)
        case ActionKind.NOTE:
            return ""
    return "This action does not apply to one order."


def _retry_blocked(state: OrderState) -> str:
    live = state.live
    if live is None:
        if state.order.status == OrderStatus.CONFIRMED:
            return (
                "There is nothing to retry: every step is done. A confirmed order can be cancelled."
            )
        return f"There is nothing to retry: the order has ended as {state.order.status}."
    if live.is_paused:
        return (
            "The order is paused, so a retry has no effect. Resume it: it then continues at once."
        )
    return ""


def _cancel_blocked(state: OrderState) -> str:
    live, status = state.live, state.order.status
    if status == OrderStatus.CANCELLED:
        return "The order is already cancelled: no stock is reserved, no money is held."
    if status == OrderStatus.CANCELLING or (live and live.compensation_requested_at):
        return "The order is already being cancelled. Retry now speeds up the compensation."
    if live and not live.is_known:
        return (
            "This version of the code does not know the order's saga. Deploy a version that does."
        )
    return ""


def _pause_blocked(state: OrderState) -> str:
    live = state.live
    if state.paused:
        return f"The order is already paused ({state.paused.attention_reason}). It can be resumed."
    if live is None:
        if state.order.status == OrderStatus.CONFIRMED:
            return "There is nothing to pause: every step is done. The order can be cancelled."
        return f"There is nothing to pause: the order is {state.order.status}."
    if live.is_compensating or live.compensating_only or live.compensation_requested_at:
        return (
            "The order is being compensated, or is about to be. Compensations are never paused."
            " Retry now speeds them up."
        )
    return ""


def _resume_blocked(state: OrderState, operator: Operator) -> str:
    if state.paused is None:
        if state.live:
            return "The order is not paused. If it waits for a back-off, use retry now."
        return "The order is not paused, and no run is in progress."
    if state.paused_by and not operator.has_perm(permissions.RESUME_UNRESOLVED):
        codes = ", ".join(state.paused_by)
        return (
            f"An invariant paused the order ({codes}): its money is in doubt. A member of finance must"
            " check and resume it. It can also be cancelled."
        )
    return ""


def _position(run: RunDetail) -> str:
    back = next((step for step in run.compensations if step.stage == Stage.CURRENT), None)
    if run.is_compensating:
        return f"compensating: {back.name}" if back else "compensating"
    now = next((step for step in run.steps if step.stage == Stage.CURRENT), None)
    requested = ", cancel requested" if run.compensation_requested_at else ""
    return f"at {run.step}{_attempts(now.attempts_in_row) if now else ''}{requested}"


def _attempts(made: int) -> str:
    return f" after {made} attempts" if made > 1 else ""
