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


def _reachable(source: OrderStatus) -> set[OrderStatus]:
    found = {source}
    while more := {target for status in found for target in TRANSITIONS[status]} - found:
        found |= more
    return found
