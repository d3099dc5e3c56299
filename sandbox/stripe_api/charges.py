"""Charges: one for each confirmation that reached a card, made here and read at /v1/charges."""

from datetime import timedelta
from typing import Final

from sandbox.stripe_api.account import Account
from sandbox.stripe_api.cards import Decline
from sandbox.stripe_api.errors import no_such
from sandbox.stripe_api.identifiers import new_id
from sandbox.stripe_api.operations import Call, Outcome, expansions
from sandbox.stripe_api.records import Charge, PaymentIntent
from sandbox.stripe_api.serializers import charge_shape, payment_intent_shape

AUTHORIZATION_HOLDS: Final = int(timedelta(days=7).total_seconds())
"""How long a card authorization can be captured; afterwards the money is released by itself."""


def retrieve(account: Account, call: Call) -> Outcome:
    expand = expansions(call.parameters, allowed=frozenset({"payment_intent"}))
    call.parameters.reject_unknown()
    charge = account.charges.get(call.target)
    if charge is None:
        raise no_such("charge", call.target, param="id")
    shape = charge_shape(charge)
    if expand:
        shape["payment_intent"] = payment_intent_shape(account.intents[charge.payment_intent])
    return Outcome(shape, charge.id)


def attempt(
    intent: PaymentIntent, payment_method: str, decline: Decline | None, *, serial: int, now: int
) -> Charge:
    """Charge or authorize the card for the whole amount of ``intent``."""
    approved = decline is None
    manual = intent.capture_method == "manual"
    return Charge(
        id=new_id("ch"),
        serial=serial,
        created=now,
        payment_intent=intent.id,
        amount=intent.amount,
        currency=intent.currency,
        payment_method=payment_method,
        status="succeeded" if approved else "failed",
        customer=intent.customer,
        description=intent.description,
        metadata=intent.metadata,
        captured=approved and not manual,
        amount_captured=intent.amount if approved and not manual else 0,
        capture_before=now + AUTHORIZATION_HOLDS if approved and manual else None,
        failure_code=decline.code if decline else None,
        failure_message=decline.message if decline else None,
        decline_code=decline.decline_code if decline else None,
    )
