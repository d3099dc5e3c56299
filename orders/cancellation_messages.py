"""Why an order was cancelled, in a sentence for its customer."""

from typing import Final

from orders.models import Order
from orders.states import OrderStatus
from sagas.queries.definitions import find_rejection_text

_REQUESTED: Final = {
    "cancelled_by_customer": "You cancelled this order.",
    "cancelled_by_staff": "The shop cancelled this order.",
}
"""Messages for cancellations by people. A step declares the messages of its own rejections."""

_UNKNOWN_REASON: Final = "This order could not be completed."
"""For a reason code that this version of the code does not have."""


def cancellation_message(order: Order) -> str:
    """Return why the order is cancelled or being cancelled; otherwise an empty text.

    While compensations are pending, the message does not promise that nothing was charged.
    """
    if not order.reason:
        return ""
    if order.reason in _REQUESTED:
        return _REQUESTED[order.reason]
    text = find_rejection_text(order.reason)
    if text is None:
        return _UNKNOWN_REASON
    is_compensated = order.status == OrderStatus.CANCELLED
    return text.for_customer(order.reason_detail, is_compensated=is_compensated)
