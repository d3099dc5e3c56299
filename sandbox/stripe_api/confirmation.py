"""Confirming a PaymentIntent: what the card answers, and what that makes of the intent."""

from dataclasses import dataclass, replace

from sandbox.http_service.json_values import JsonObject
from sandbox.stripe_api.cards import (
    ACTION_REFUSED,
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
from sandbox.stripe_api.operations import Call, Outcome
from sandbox.stripe_api.records import Charge, IntentStatus, PaymentIntent
from sandbox.stripe_api.serializers import card_error_shape, charge_shape, payment_intent_shape

CONFIRMABLE = frozenset(
    {
        IntentStatus.REQUIRES_PAYMENT_METHOD,
        IntentStatus.REQUIRES_CONFIRMATION,
        IntentStatus.REQUIRES_ACTION,
    }
)


@dataclass(frozen=True)
class Terms:
    """How a confirmation may deal with a customer who is not there."""

    off_session: bool
    error_on_requires_action: bool
    return_url: str | None

    @classmethod
    def read(cls, given: Parameters, *, confirm: bool) -> "Terms":
        terms = cls(
            off_session=bool(given.flag("off_session")),
            error_on_requires_action=bool(given.flag("error_on_requires_action")),
            return_url=given.text("return_url"),
        )
        given.flag("use_stripe_sdk")
        if not confirm and terms != cls(
            off_session=False, error_on_requires_action=False, return_url=None
        ):
            raise invalid(
                "`off_session`, `error_on_requires_action` and `return_url` can only be used "
                "with `confirm=true`.",
                param="confirm",
            )
        return terms


def confirm(
    intent: PaymentIntent, terms: Terms, call: Call, *, expand: set[str], serial: int
) -> Outcome:
    """Ask the card. Declined: 402, and the intent is ready for another payment method."""
    now = call.now
    token = _payment_method_to_charge(intent)
    card = TEST_CARDS[token]
    if call.is_declined:
        card = replace(card, decline=GENERIC_DECLINE, asks_customer=False)
    if card.brand == "amex" and intent.currency in NOT_AT_AMEX:
        card = replace(card, decline=CURRENCY_NOT_SUPPORTED)
    if card.asks_customer and not terms.off_session:
        if terms.error_on_requires_action:
            return _declined(intent, ACTION_REFUSED, token, charge=None, now=now)
        return _waiting_for_customer(intent, terms)
    decline = NEEDS_CUSTOMER if card.asks_customer else card.decline
    charge = attempt(intent, token, decline, serial=serial, now=now)
    if decline is not None:
        return _declined(intent, decline, token, charge=charge, now=now)
    return _charged(intent, charge, expand)


def _payment_method_to_charge(intent: PaymentIntent) -> str:
    if intent.status == IntentStatus.SUCCEEDED:
        raise unexpected_state(
            "You cannot confirm this PaymentIntent because it has already succeeded after being "
            "previously confirmed.",
            payment_intent_shape(intent),
        )
    if intent.status not in CONFIRMABLE:
        raise unexpected_state(
            f"You cannot confirm this PaymentIntent because it has a status of {intent.status}. "
            "Only a PaymentIntent with one of the following statuses may be confirmed: "
            "requires_confirmation, requires_action.",
            payment_intent_shape(intent),
        )
    if intent.payment_method is None:
        raise unexpected_state(
            "You cannot confirm this PaymentIntent because it's missing a payment method. Update "
            "the PaymentIntent with a payment method, or confirm it with one.",
            payment_intent_shape(intent),
        )
    return intent.payment_method


def _charged(intent: PaymentIntent, charge: Charge, expand: set[str]) -> Outcome:
    confirmed = replace(
        intent,
        status=IntentStatus.SUCCEEDED if charge.captured else IntentStatus.REQUIRES_CAPTURE,
        amount_received=charge.amount_captured,
        amount_capturable=0 if charge.captured else charge.amount,
        latest_charge=charge.id,
        last_payment_error=None,
        next_action=None,
    )
    shape = payment_intent_shape(confirmed)
    if expand:
        shape["latest_charge"] = charge_shape(charge)
    return Outcome(shape, intent.id, (confirmed, charge))


def _declined(
    intent: PaymentIntent, decline: Decline, token: str, *, charge: Charge | None, now: int
) -> Outcome:
    error = card_error_shape(decline, token, charge=charge, now=now)
    refused = replace(
        intent,
        status=IntentStatus.REQUIRES_PAYMENT_METHOD,
        payment_method=None,
        latest_charge=charge.id if charge else intent.latest_charge,
        last_payment_error=error,
        next_action=None,
    )
    body: JsonObject = {"error": {**error, "payment_intent": payment_intent_shape(refused)}}
    changes = (refused,) if charge is None else (refused, charge)
    return Outcome(body, intent.id, changes, status=402)


def _waiting_for_customer(intent: PaymentIntent, terms: Terms) -> Outcome:
    page = f"https://hooks.stripe.invalid/3d_secure/{intent.id}"
    action: JsonObject
    if terms.return_url is None:
        action = {
            "type": "use_stripe_sdk",
            "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": page},
        }
    else:
        action = {
            "type": "redirect_to_url",
            "redirect_to_url": {"return_url": terms.return_url, "url": page},
        }
    waiting = replace(
        intent,
        status=IntentStatus.REQUIRES_ACTION,
        last_payment_error=None,
        next_action=action,
    )
    return Outcome(payment_intent_shape(waiting), intent.id, (waiting,))
