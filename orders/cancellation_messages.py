"""Why an order was cancelled, in words for its customer."""

from typing import Final

from orders.models import Order
from orders.states import OrderStatus

_WORDS: Final = {
    "out_of_stock": "Not enough of {detail} is left.",
    "stock_lost": "What was held for this order is no longer available.",
    "cancelled_by_customer": "You cancelled this order.",
    "cancelled_by_staff": "The shop cancelled this order.",
}

_UNANSWERED: Final = {
    OrderStatus.CANCELLING: "Your bank did not answer. Whatever it set aside is being released.",
    OrderStatus.CANCELLED: "Your bank did not answer. You have not been charged.",
}

_DECLINES: Final = {
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "incorrect_number": "Your card's number is incorrect.",
    "card_velocity_exceeded": "Your card has reached its limit of balance or credit.",
    "processing_error": "Your bank could not process the payment.",
    "authentication_required": "Your bank asks you to authenticate the payment.",
    "unknown_payment_method": "This payment method is not known to the bank.",
    "authorization_expired": "Your bank's authorization of the payment has expired.",
}


def words(order: Order) -> str:
    """Return the sentence, or an empty string for an order that nobody cancels.

    What banks say about lost or stolen cards is not passed on, as Stripe advises.
    """
    if order.reason == "payment_declined":
        return _DECLINES.get(order.reason_detail, "Your card was declined.")
    if not order.reason:
        return ""
    if order.reason == "authorize_payment_unanswered":
        return _UNANSWERED[OrderStatus(order.status)]
    return _WORDS.get(order.reason, "This order could not be completed.").format(
        detail=order.reason_detail
    )
