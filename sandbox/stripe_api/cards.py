"""Stripe's test payment methods, and how each behaves when it is charged or refunded."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final


class RefundBehaviour(Enum):
    """How a refund to the card ends."""

    AT_ONCE = auto()  # succeeded at once
    LATER = auto()  # first pending, later succeeded
    BOUNCE = auto()  # first succeeded, later failed


@dataclass(frozen=True)
class Decline:
    code: str
    decline_code: str | None
    message: str
    type: str = "card_error"


@dataclass(frozen=True)
class Card:
    brand: str
    last4: str
    funding: str = "credit"
    country: str = "US"
    decline: Decline | None = None
    """How a charge ends; for a card that needs authentication, the charge after it."""
    needs_authentication: bool = False
    """Every confirmation asks for 3D Secure, which needs the customer."""
    refunds: RefundBehaviour = RefundBehaviour.AT_ONCE


GENERIC_DECLINE: Final = Decline("card_declined", "generic_decline", "Your card was declined.")
NEEDS_CUSTOMER: Final = Decline(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
)
CURRENCY_NOT_SUPPORTED: Final = Decline(
    "card_declined",
    "currency_not_supported",
    "The card does not support the specified currency.",
)
ACTION_REFUSED: Final = Decline(
    "authentication_required",
    "authentication_not_handled",
    "This payment required an authentication action to complete, but "
    "`error_on_requires_action` was set.",
)
AUTHENTICATION_FAILED: Final = Decline(
    "payment_intent_authentication_failure",
    None,
    "The provided PaymentMethod has failed authentication. Provide a new PaymentMethod to attempt "
    "to fulfill this PaymentIntent again.",
    type="invalid_request_error",
)

_VISA: Final = Card("visa", "4242")


def _declined(last4: str, code: str, decline_code: str | None, message: str) -> Card:
    return replace(_VISA, last4=last4, decline=Decline(code, decline_code, message))


_GENERIC: Final = replace(_VISA, last4="0002", decline=GENERIC_DECLINE)
_NO_FUNDS: Final = _declined(
    "9995", "card_declined", "insufficient_funds", "Your card has insufficient funds."
)
_LOST: Final = _declined("9987", "card_declined", "lost_card", "Your card was declined.")
_STOLEN: Final = _declined("9979", "card_declined", "stolen_card", "Your card was declined.")
_FRAUDULENT: Final = _declined("0019", "card_declined", "fraudulent", "Your card was declined.")
_VELOCITY: Final = _declined(
    "6975",
    "card_declined",
    "card_velocity_exceeded",
    "Your card was declined for making repeated attempts too frequently or exceeding its "
    "amount limit.",
)
# Stripe's testing page gives no decline code for these three, only an error code.
_EXPIRED: Final = _declined("0069", "expired_card", None, "Your card has expired.")
_WRONG_CVC: Final = _declined(
    "0127", "incorrect_cvc", None, "Your card's security code is incorrect."
)
_PROCESSING: Final = _declined(
    "0119",
    "processing_error",
    None,
    "An error occurred while processing your card. Try again in a little bit.",
)

# Some have two spellings: the older one without the brand still works at Stripe, and here.
TEST_CARDS: Final[Mapping[str, Card]] = {
    "pm_card_visa": _VISA,
    "pm_card_visa_debit": replace(_VISA, last4="5556", funding="debit"),
    "pm_card_mastercard": Card("mastercard", "4444"),
    "pm_card_mastercard_debit": Card("mastercard", "8210", funding="debit"),
    "pm_card_mastercard_prepaid": Card("mastercard", "5100", funding="prepaid"),
    "pm_card_amex": Card("amex", "0005"),
    "pm_card_discover": Card("discover", "1117"),
    "pm_card_diners": Card("diners", "0004"),
    "pm_card_jcb": Card("jcb", "0505", country="JP"),
    "pm_card_unionpay": Card("unionpay", "0005", country="CN"),
    "pm_card_us": _VISA,
    "pm_card_de": replace(_VISA, last4="0016", country="DE"),
    "pm_card_fr": replace(_VISA, last4="0003", country="FR"),
    "pm_card_gb": replace(_VISA, last4="0000", country="GB"),
    "pm_card_bypassPending": replace(_VISA, last4="0077"),
    "pm_card_pendingRefund": replace(_VISA, last4="7726", refunds=RefundBehaviour.LATER),
    "pm_card_refundFail": replace(_VISA, last4="5126", refunds=RefundBehaviour.BOUNCE),
    "pm_card_authenticationRequired": replace(_VISA, last4="3184", needs_authentication=True),
    "pm_card_authenticationRequiredOnSetup": replace(
        _VISA, last4="3155", needs_authentication=True
    ),
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds": replace(
        _NO_FUNDS, last4="3178", needs_authentication=True
    ),
    "pm_card_threeDSecure2Required": replace(_VISA, last4="3220", needs_authentication=True),
    "pm_card_threeDSecureRequired": replace(_VISA, last4="3063", needs_authentication=True),
    "pm_card_threeDSecureRequiredChargeDeclined": replace(
        _GENERIC, last4="1629", needs_authentication=True
    ),
    "pm_card_chargeCustomerFail": replace(_GENERIC, last4="0341"),
    "pm_card_chargeDeclined": _GENERIC,
    "pm_card_visa_chargeDeclined": _GENERIC,
    "pm_card_chargeDeclinedInsufficientFunds": _NO_FUNDS,
    "pm_card_visa_chargeDeclinedInsufficientFunds": _NO_FUNDS,
    "pm_card_chargeDeclinedLostCard": _LOST,
    "pm_card_visa_chargeDeclinedLostCard": _LOST,
    "pm_card_chargeDeclinedStolenCard": _STOLEN,
    "pm_card_visa_chargeDeclinedStolenCard": _STOLEN,
    "pm_card_chargeDeclinedFraudulent": _FRAUDULENT,
    "pm_card_radarBlock": _FRAUDULENT,
    "pm_card_chargeDeclinedVelocityLimitExceeded": _VELOCITY,
    "pm_card_visa_chargeDeclinedVelocityLimitExceeded": _VELOCITY,
    "pm_card_chargeDeclinedExpiredCard": _EXPIRED,
    "pm_card_visa_chargeDeclinedExpiredCard": _EXPIRED,
    "pm_card_chargeDeclinedIncorrectCvc": _WRONG_CVC,
    "pm_card_visa_chargeDeclinedIncorrectCvc": _WRONG_CVC,
    "pm_card_chargeDeclinedProcessingError": _PROCESSING,
    "pm_card_visa_chargeDeclinedProcessingError": _PROCESSING,
}
