"""What customers read about a declined payment, by the decline code of the provider."""

from collections.abc import Mapping
from typing import Final, NamedTuple

DECLINED: Final = "Your card was declined."
"""For every other code. These include lost, stolen and suspicious cards: providers advise not to tell
the holder of a stolen card."""

DECLINE_MESSAGES: Final[Mapping[str, str]] = {
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "incorrect_number": "Your card's number is incorrect.",
    "card_velocity_exceeded": "Your card has reached its limit of balance or credit.",
    "processing_error": "Your bank could not process the payment.",
    "authentication_required": "Your bank asks you to authenticate the payment.",
    "authentication_failed": "The payment was not authenticated.",
    "authentication_abandoned": "The payment was not authenticated in time.",
    "currency_not_supported": "Your card cannot be charged in this currency.",
    "payment_method_currency_mismatch": "Your payment method cannot be charged in this currency.",
    "unknown_payment_method": "This payment method does not exist.",
    "authorization_expired": "Your bank's authorization of the payment has expired.",
}

OTHER_DECLINE: Final = "card_declined"
"""What programs read for every other code, so that they cannot tell a customer more either."""


class Decline(NamedTuple):
    """Why a payment was declined, as far as its customer may know."""

    code: str
    message: str


def decline_for_customer(decline_code: str) -> Decline:
    """Return what the customer may know of a provider's decline code."""
    if decline_code in DECLINE_MESSAGES:
        return Decline(decline_code, DECLINE_MESSAGES[decline_code])
    return Decline(OTHER_DECLINE, DECLINED)
