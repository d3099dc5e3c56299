"""Why an order was cancelled, in a sentence for its customer."""

from typing import Final

from orders.models import Order
from orders.states import OrderStatus
from sagas import registry

_REQUESTED: Final = {
    "cancelled_by_customer": "You cancelled this order.",
    "cancelled_by_staff": "The shop cancelled this order.",
}
"""For the reasons of people. Those of steps have their sentences in the step's declaration."""

_UNKNOWN_REASON: Final = "This order could not be completed."
"""For a reason of another version of the code."""


def words(order: Order) -> str:
    """Return the sentence; empty for an order that is not being cancelled."""
    if not order.reason:
        return ""
    if order.reason in _REQUESTED:
        return _REQUESTED[order.reason]
    text = registry.find_rejection_text(order.reason)
    if text is None:
        return _UNKNOWN_REASON
    is_compensated = order.status == OrderStatus.CANCELLED
    return text.for_customer(order.reason_detail, is_compensated=is_compensated)
