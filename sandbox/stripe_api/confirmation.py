"""Confirms a PaymentIntent: the card accepts, declines or asks for authentication.

``authentications`` continues an intent whose customer has authenticated, or has failed to.
"""

import re
from dataclasses import dataclass, replace
from typing import Final

from sandbox.http_service.json_values import JsonObject
from sandbox.stripe_api.cards import (
    ACTION_REFUSED,
    AUTHENTICATION_FAILED,
    CURRENCY_NOT_SUPPORTED,
    GENERIC_DECLINE,
    NEEDS_CUSTOMER,
    TEST_CARDS,
    Decline,
)
from sandbox.stripe_api.charges import attempt
from sandbox.stripe_api.currencies import NOT_AT_AMEX
from sandbox.stripe_api.errors import invalid, unexpected_state
from sandbox.stripe_api.form_params import Parameters
from sandbox.stripe_api.operations import Call, OperationResult
from sandbox.stripe_api.records import Charge, IntentStatus, PaymentIntent
from sandbox.stripe_api.serializers import (
    serialize_card_error,
    serialize_charge,
    serialize_payment_intent,
)

CONFIRMABLE = frozenset(
    {
        IntentStatus.REQUIRES_PAYMENT_METHOD,
        IntentStatus.REQUIRES_CONFIRMATION,
        IntentStatus.REQUIRES_ACTION,
    }
)
AUTHENTICATION_PAGE: Final = "/authenticate"
"""The path of the pages on which customers authenticate; each has the id of its PaymentIntent."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[\w.:\[\]-]+([/?#][!-~]*)?", re.ASCII)


@dataclass(frozen=True)
class ConfirmOptions:
    """The parameters of a confirmation: whether and how the customer can authenticate.

    Without a ``return_url``, or with ``use_stripe_sdk``, the next action is one for Stripe.js.
    """

    off_session: bool
    error_on_requires_action: bool
    use_stripe_sdk: bool
    return_url: str | None

    @classmethod
    def read(cls, params: Parameters, *, confirm: bool) -> "ConfirmOptions":
        options = cls(
            off_session=bool(params.flag("off_session")),
            error_on_requires_action=bool(params.flag("error_on_requires_action")),
            use_stripe_sdk=bool(params.flag("use_stripe_sdk")),
            return_url=_return_url(params),
        )
        needs_confirm = (options.off_session, options.error_on_requires_action, options.return_url)
        if any(needs_confirm) and not confirm:
            raise invalid(
                "`off_session`, `error_on_requires_action` and `return_url` can only be used "
                "with `confirm=true`.",
                param="confirm",
            )
        return options


def confirm(
    intent: PaymentIntent, options: ConfirmOptions, call: Call, *, expand: set[str], serial: int
) -> OperationResult:
    """Charge the card. After a decline (402) the intent accepts another payment method.

    An intent that waits for its customer can be confirmed again: it asks again, and waits.
    """
    now = call.now
    token = _payment_method_to_charge(intent)
    card = TEST_CARDS[token]
    if call.is_declined:
        card = replace(card, decline=GENERIC_DECLINE, needs_authentication=False)
    if card.brand == "amex" and intent.currency in NOT_AT_AMEX:
        card = replace(card, decline=CURRENCY_NOT_SUPPORTED)
    if card.needs_authentication and not options.off_session:
        if options.error_on_requires_action:
            return _declined(intent, ACTION_REFUSED, token, charge=None, now=now)
        return _waiting_for_customer(intent, options, call.base_url)
    decline = NEEDS_CUSTOMER if card.needs_authentication else card.decline
    charge = attempt(intent, token, decline, serial=serial, now=now)
    if decline is not None:
        return _declined(intent, decline, token, charge=charge, now=now)
    return _charged(intent, charge, expand)


def authenticated(intent: PaymentIntent, *, serial: int, now: int) -> OperationResult:
    """Charge the card of a waiting intent, whose customer has authenticated."""
    token = str(intent.payment_method)
    decline = TEST_CARDS[token].decline
    charge = attempt(intent, token, decline, serial=serial, now=now, is_authenticated=True)
    if decline is not None:
        return _declined(intent, decline, token, charge=charge, now=now)
    return _charged(intent, charge, set())


def authentication_failed(intent: PaymentIntent, *, now: int) -> OperationResult:
    """Take the payment method of a waiting intent, whose customer has failed to authenticate."""
    token = str(intent.payment_method)
    return _declined(intent, AUTHENTICATION_FAILED, token, charge=None, now=now)


def _return_url(params: Parameters) -> str | None:
    url = params.text("return_url")
    if url is not None and not _URL.fullmatch(url):
        raise invalid("Not a valid URL", param="return_url", code="url_invalid")
    return url


def _payment_method_to_charge(intent: PaymentIntent) -> str:
    if intent.status == IntentStatus.SUCCEEDED:
        raise unexpected_state(
            "You cannot confirm this PaymentIntent because it has already succeeded after being "
            "previously confirmed.",
            serialize_payment_intent(intent),
        )
    if intent.status not in CONFIRMABLE:
        raise unexpected_state(
            f"You cannot confirm this PaymentIntent because it has a status of {intent.status}. "
            "Only a PaymentIntent with one of the following statuses may be confirmed: "
            "requires_confirmation, requires_action.",
            serialize_payment_intent(intent),
        )
    if intent.payment_method is None:
        raise unexpected_state(
            "You cannot confirm this PaymentIntent because it's missing a payment method. Update "
            "the PaymentIntent with a payment method, or confirm it with one.",
            serialize_payment_intent(intent),
        )
    return intent.payment_method


def _charged(intent: PaymentIntent, charge: Charge, expand: set[str]) -> OperationResult:
    confirmed = replace(
        intent,
        status=IntentStatus.SUCCEEDED if charge.captured else IntentStatus.REQUIRES_CAPTURE,
        amount_received=charge.amount_captured,
        amount_capturable=0 if charge.captured else charge.amount,
        latest_charge=charge.id,
        last_payment_error=None,
        next_action=None,
    )
    body = serialize_payment_intent(confirmed)
    if expand:
        body["latest_charge"] = serialize_charge(charge)
    return OperationResult(body, intent.id, (confirmed, charge))


def _declined(
    intent: PaymentIntent, decline: Decline, token: str, *, charge: Charge | None, now: int
) -> OperationResult:
    error = serialize_card_error(decline, token, charge=charge, now=now)
    declined = replace(
        intent,
        status=IntentStatus.REQUIRES_PAYMENT_METHOD,
        payment_method=None,
        latest_charge=charge.id if charge else intent.latest_charge,
        last_payment_error=error,
        next_action=None,
    )
    body: JsonObject = {"error": {**error, "payment_intent": serialize_payment_intent(declined)}}
    changes = (declined,) if charge is None else (declined, charge)
    return OperationResult(body, intent.id, changes, status=402)


def _waiting_for_customer(
    intent: PaymentIntent, options: ConfirmOptions, base_url: str
) -> OperationResult:
    page = f"{base_url}{AUTHENTICATION_PAGE}/{intent.id}"
    action: JsonObject
    if options.use_stripe_sdk or options.return_url is None:
        action = {
            "type": "use_stripe_sdk",
            "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": page},
        }
    else:
        action = {
            "type": "redirect_to_url",
            "redirect_to_url": {"return_url": options.return_url, "url": page},
        }
    waiting = replace(
        intent,
        status=IntentStatus.REQUIRES_ACTION,
        last_payment_error=None,
        next_action=action,
    )
    return OperationResult(serialize_payment_intent(waiting), intent.id, (waiting,))
