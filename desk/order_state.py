"""Where one order stands, and what may be done about it: read once, judged for each act."""

from dataclasses import dataclass
from uuid import UUID

from desk import permissions
from desk.models import ActionKind
from desk.permissions import Operator
from invariants.break_store import breaks_about
from invariants.models import ReconciliationBreak
from orders.models import Order
from orders.states import OrderStatus
from sagas.plans import RunDetail, runs_of


@dataclass(frozen=True)
class OrderState:
    """One order, its runs with their plans, and the breaks that were found about it."""

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
        """The run that is held, by a person or by an invariant."""
        return next((each for each in self.runs if each.is_paused), None)

    @property
    def paused_by(self) -> list[str]:
        """The codes of the invariants that paused it, or would have, had nobody held it before."""
        held = self.paused
        if held is None or held.paused_at is None:
            return []
        since = held.paused_at
        return [
            each.code
            for each in self.breaks
            if each.order_paused_at is not None and each.order_paused_at >= since
        ]

    def in_words(self) -> str:
        """Where it stands, in a few words for an audit row."""
        words = [str(self.order.status)]
        if self.live:
            words.append(_where(self.live))
        if self.paused:
            words.append("held")
        elif self.live and self.live.needs_attention:
            words.append("flagged")
        return ", ".join(words)


def order_state(order_id: UUID) -> OrderState:
    """Read where an order stands. Raises Order.DoesNotExist."""
    order = Order.objects.select_related("customer").get(pk=order_id)
    return OrderState(order, runs_of(order_id), breaks_about(order_id))


def needed_for(kind: ActionKind, state: OrderState) -> str:
    """Return the permission that an act on this order takes."""
    if kind == ActionKind.RESUME and state.paused_by:
        return permissions.RESUME_UNRESOLVED
    return permissions.OF_KIND[kind]


def blocked_reason(kind: ActionKind, state: OrderState, operator: Operator) -> str:
    """Return why an act may not be done now, and what could be done instead; "" if it may."""
    match kind:
        case ActionKind.RETRY:
            return _against_retrying(state)
        case ActionKind.CANCEL:
            return _against_cancelling(state)
        case ActionKind.PAUSE:
            return _against_holding(state)
        case ActionKind.RESUME:
            return _against_releasing(state, operator)
        case ActionKind.NOTE:
            return ""
    return "This cannot be done to one order."


def _against_retrying(state: OrderState) -> str:
    live = state.live
    if live is None:
        if state.order.status == OrderStatus.CONFIRMED:
            return (
                "Nothing is left to retry: every step is done. A confirmed order can be cancelled."
            )
        return f"Nothing is left to retry: the order has ended as {state.order.status}."
    if live.is_paused:
        return "It is held, so a retry would not move it. Release it, and it goes on at once."
    return ""


def _against_cancelling(state: OrderState) -> str:
    live, status = state.live, state.order.status
    if status == OrderStatus.CANCELLED:
        return "It is cancelled already: nothing is held, nothing is taken."
    if status == OrderStatus.CANCELLING or (live and live.compensation_requested_at):
        return "It is being cancelled already. Retry now has the undoing go on at once."
    if live and not live.is_known:
        return "This version of the code does not know its saga. Deploy one that does."
    return ""


def _against_holding(state: OrderState) -> str:
    live = state.live
    if state.paused:
        return f"It is held already ({state.paused.attention_reason}). It can be released."
    if live is None:
        if state.order.status == OrderStatus.CONFIRMED:
            return (
                "Nothing goes forward that could be held: every step is done. It can be cancelled."
            )
        return f"Nothing goes forward that could be held: the order is {state.order.status}."
    if live.is_going_back or live.compensating_only or live.compensation_requested_at:
        return (
            "It is giving back what it took, or about to, and that is never held."
            " Retry now speeds it up."
        )
    return ""


def _against_releasing(state: OrderState, operator: Operator) -> str:
    if state.paused is None:
        if state.live:
            return "It is not held. If it waits for its back-off, retry now has it go on at once."
        return "It is not held, and nothing of it is under way."
    if state.paused_by and not operator.has_perm(permissions.RESUME_UNRESOLVED):
        codes = ", ".join(state.paused_by)
        return (
            f"An invariant paused it ({codes}): its money is in doubt. Somebody from finance has to"
            " look and release it. It can be cancelled."
        )
    return ""


def _where(run: RunDetail) -> str:
    back = next((each for each in run.back if each.stage == "current"), None)
    if run.is_going_back:
        return f"undoing: {back.name}" if back else "undoing"
    now = next((each for each in run.forward if each.stage == "current"), None)
    asked = ", asked to turn back" if run.compensation_requested_at else ""
    return f"at {run.step}{_attempts(now.attempts) if now else ''}{asked}"


def _attempts(made: int) -> str:
    return f" after {made} attempts" if made > 1 else ""
