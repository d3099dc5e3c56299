"""The model of an order for property tests: what its customer saw, and which statuses may follow.

It shares no code with ``orders`` but the table of transitions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from orders.states import TRANSITIONS, OrderStatus

GOOD_CARDS: Final = ("pm_card_visa", "pm_card_pendingRefund")
BAD_CARDS: Final = {
    "pm_card_visa_chargeDeclined": "generic_decline",
    "pm_card_chargeDeclinedInsufficientFunds": "insufficient_funds",
    "pm_card_authenticationRequired": "authentication_required",
    "pm_card_nobody_has": "unknown_payment_method",
}
MAX_CHARGE_ATTEMPTS: Final = 8
"""Attempts at the charge after which an order is compensated."""


@dataclass
class OrderModel:
    """One accepted order."""

    order_id: UUID
    key: str
    body: dict[str, Any]
    total_minor: int
    seen: OrderStatus = OrderStatus.PLACED
    is_cancelled: bool = False
    """Whether the API accepted its customer's request to cancel it."""
    permitted: set[OrderStatus] = field(default_factory=lambda: set(OrderStatus))

    @property
    def card(self) -> str:
        return str(self.body["payment_method"])

    @property
    def quantities(self) -> dict[str, int]:
        return {item["sku"]: item["quantity"] for item in self.body["items"]}

    def forget_impossible(self) -> None:
        """Keep only the statuses that are reachable from what the customer has seen."""
        self.permitted &= _reachable(self.seen)
        if self.card in BAD_CARDS:
            self.permitted.discard(OrderStatus.CONFIRMED)
        if self.is_cancelled and self.seen is not OrderStatus.CONFIRMED:
            self.permitted.discard(OrderStatus.CONFIRMED)

    def see(self, status: OrderStatus) -> None:
        """Record the status that the customer sees. Fails when it is not a permitted one."""
        self.forget_impossible()
        assert status in self.permitted, f"{self.order_id}: {self.seen} -> {status}"
        self.seen = status

    def may_end_at(self, status: OrderStatus) -> bool:
        """Return whether the order may stay at this status once nothing is under way."""
        if self.is_cancelled:
            return status is OrderStatus.CANCELLED
        return status in (OrderStatus.CONFIRMED, OrderStatus.CANCELLED)

    def excuses(
        self, reason: str, detail: str, *, tries: int, available: Mapping[str, int]
    ) -> bool:
        """Return whether the order may be compensated for this reason.

        ``tries`` counts the attempts at the charge; ``available`` is the stock just before.
        """
        match reason:
            case "cancelled_by_customer":
                return self.is_cancelled
            case "payment_declined":
                return BAD_CARDS.get(self.card) == detail
            case "authorize_payment_unanswered":
                return tries >= MAX_CHARGE_ATTEMPTS
            case "out_of_stock":
                return available[detail] < self.quantities[detail]
        return False


REVIEW_ABOVE_MINOR: Final = 6000
ASKING_CARD: Final = "pm_card_authenticationRequired"


@dataclass
class WaitingOrderModel(OrderModel):
    """One accepted order of a shop where customers can pay later, and large orders are reviewed."""

    later_cards: list[str] = field(default_factory=list)
    """The cards by which the customer has paid otherwise, oldest first."""
    is_authenticated: bool = False
    """Whether the customer has authenticated the newest payment."""
    decision: str = ""
    """The decision on the order's approval, if there is one."""

    @property
    def newest_card(self) -> str:
        return [self.card, *self.later_cards][-1]

    @property
    def is_paid(self) -> bool:
        """Return whether the newest payment can hold money."""
        is_finished = self.newest_card == ASKING_CARD and self.is_authenticated
        return self.newest_card in GOOD_CARDS or is_finished

    @property
    def is_reviewed(self) -> bool:
        return self.total_minor > REVIEW_ABOVE_MINOR

    def pay_otherwise(self, card: str) -> None:
        """Record that the API accepted another payment."""
        self.later_cards.append(card)
        self.is_authenticated = False

    def forget_impossible(self) -> None:
        self.permitted &= _reachable(self.seen)
        if self.is_cancelled and self.seen is not OrderStatus.CONFIRMED:
            self.permitted.discard(OrderStatus.CONFIRMED)

    def see(self, status: OrderStatus) -> None:
        """As for any order; and it is confirmed only with its money and its approval."""
        if status is OrderStatus.CONFIRMED and self.seen is OrderStatus.PLACED:
            assert self.is_paid, self
            assert not self.is_reviewed or self.decision == "approve", self
        super().see(status)

    def excuses(
        self, reason: str, detail: str, *, tries: int, available: Mapping[str, int]
    ) -> bool:
        match reason:
            case "payment_declined" | "not_paid_in_time":
                return self.newest_card not in GOOD_CARDS
            case "authentication_abandoned":
                return self.newest_card == ASKING_CARD
            case "review_rejected":
                return self.decision == "reject"
            case "not_reviewed":
                return self.is_reviewed and not self.decision
        return super().excuses(reason, detail, tries=tries, available=available)


def _reachable(source: OrderStatus) -> set[OrderStatus]:
    found = {source}
    while more := {target for status in found for target in TRANSITIONS[status]} - found:
        found |= more
    return found
