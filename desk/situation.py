"""Where one order stands, and what may be done about it: read once, judged for each act."""

from dataclasses import dataclass
from uuid import UUID

from desk import permissions
from desk.models import ActionKind
from desk.permissions import Operator
from invariants.models import ReconciliationBreak
from invariants.recording import breaks_about
from orders.models import Order
from orders.states import OrderStatus
from sagas.plans import RunStory, runs_of


@dataclass(frozen=True)
class Situation:
    """One order, its runs with their plans, and the breaks that were found about it."""

    order: Order
    runs: list[RunStory]
    breaks: list[ReconciliationBreak]

    @property
    def newest(self) -> RunStory | None:
        return self.runs[-1] if self.runs else None

    @property
    def live(self) -> RunStory | None:
        return self.newest if self.newest and self.newest.is_live else None

    @property
    def frozen(self) -> RunStory | None:
        """The run that is held, by a person or by an invariant."""
        return next((each for each in self.runs if each.is_frozen), None)

    @property
    def frozen_by(self) -> list[str]:
        """The codes of the invariants that froze it, or would have, had nobody held it before."""
        held = self.frozen
        if held is None or held.frozen_at is None:
            return []
        since = held.frozen_at
        return [
            each.code
            for each in self.breaks
            if each.order_frozen_at is not None and each.order_frozen_at >= since
        ]

    def in_words(self) -> str:
        """Where it stands, in a few words for an audit row."""
        words = [str(self.order.status)]
        if self.live:
            words.append(_where(self.live))
        if self.frozen:
            words.append("held")
        elif self.live and self.live.needs_attention:
            words.append("flagged")
        return ", ".join(words)


def situation_of(order_id: UUID) -> Situation:
    """Read where an order stands. Raises Order.DoesNotExist."""
    order = Order.objects.select_related("customer").get(pk=order_id)
    return Situation(order, runs_of(order_id), breaks_about(order_id))


def needed_for(kind: ActionKind, situation: Situation) -> str:
    """Return the permission that an act on this order takes."""
    if kind == ActionKind.RELEASE and situation.frozen_by:
        return permissions.RELEASE_FROZEN
    return permissions.OF_KIND[kind]


def objection(kind: ActionKind, situation: Situation, operator: Operator) -> str:
    """Return why an act may not be done now, and what could be done instead; "" if it may."""
    match kind:
        case ActionKind.RETRY:
            return _against_retrying(situation)
        case ActionKind.CANCEL:
            return _against_cancelling(situation)
        case ActionKind.HOLD:
            return _against_holding(situation)
        case ActionKind.RELEASE:
            return _against_releasing(situation, operator)
        case ActionKind.NOTE:
            return ""
    return "This cannot be done to one order."


def _against_retrying(situation: Situation) -> str:
    live = situation.live
    if live is None:
        if situation.order.status == OrderStatus.CONFIRMED:
            return (
                "Nothing is left to retry: every step is done. A confirmed order can be cancelled."
            )
        return f"Nothing is left to retry: the order has ended as {situation.order.status}."
    if live.is_frozen:
        return "It is held, so a retry would not move it. Release it, and it goes on at once."
    return ""


def _against_cancelling(situation: Situation) -> str:
    live, status = situation.live, situation.order.status
    if status == OrderStatus.CANCELLED:
        return "It is cancelled already: nothing is held, nothing is taken."
    if status == OrderStatus.CANCELLING or (live and live.turn_back_requested_at):
        return "It is being cancelled already. Retry now has the undoing go on at once."
    if live and not live.is_known:
        return "This version of the code does not know its saga. Deploy one that does."
    return ""


def _against_holding(situation: Situation) -> str:
    live = situation.live
    if situation.frozen:
        return f"It is held already ({situation.frozen.attention_reason}). It can be released."
    if live is None:
        if situation.order.status == OrderStatus.CONFIRMED:
            return (
                "Nothing goes forward that could be held: every step is done. It can be cancelled."
            )
        return f"Nothing goes forward that could be held: the order is {situation.order.status}."
    if live.is_going_back or live.only_gives_back or live.turn_back_requested_at:
        return (
            "It is giving back what it took, or about to, and that is never held."
            " Retry now speeds it up."
        )
    return ""


def _against_releasing(situation: Situation, operator: Operator) -> str:
    if situation.frozen is None:
        if situation.live:
            return "It is not held. If it waits for its back-off, retry now has it go on at once."
        return "It is not held, and nothing of it is under way."
    if situation.frozen_by and not operator.has_perm(permissions.RELEASE_FROZEN):
        codes = ", ".join(situation.frozen_by)
        return (
            f"An invariant froze it ({codes}): its money is in doubt. Somebody from finance has to"
            " look and release it. It can be cancelled."
        )
    return ""


def _where(run: RunStory) -> str:
    back = next((each for each in run.back if each.stage == "current"), None)
    if run.is_going_back:
        return f"undoing: {back.name}" if back else "undoing"
    now = next((each for each in run.forward if each.stage == "current"), None)
    asked = ", asked to turn back" if run.turn_back_requested_at else ""
    return f"at {run.step}{_attempts(now.attempts) if now else ''}{asked}"


def _attempts(made: int) -> str:
    return f" after {made} attempts" if made > 1 else ""
