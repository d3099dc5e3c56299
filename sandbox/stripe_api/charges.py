"""Charges: one for each confirmation that reached a card. /v1/charges returns them."""

from datetime import timedelta
from typing import Final

from sandbox.stripe_api.account import Account
from sandbox.stripe_api.cards import Decline
from sandbox.stripe_api.errors import no_such
from sandbox.stripe_api.identifiers import new_id
from sandbox.stripe_api.operations import Call, OperationResult, expansions
from sandbox.stripe_api.records import Charge, PaymentIntent
from sandbox.stripe_api.serializers import serialize_charge, serialize_payment_intent

AUTHORIZATION_SECONDS: Final = int(timedelta(days=7).total_seconds())
"""How long an authorization can be captured. Then it is released automatically."""


def retrieve(account: Account, call: Call) -> OperationResult:
    expand = expansions(call.parameters, allowed=frozenset({"payment_intent"}))
    call.parameters.reject_unknown()
    charge = account.charges.get(call.target)
    if charge is None:
        raise no_such("charge", call.target, param="id")
    body = serialize_charge(charge)
    if expand:
        body["payment_intent"] = serialize_payment_intent(account.intents[charge.payment_intent])
    return OperationResult(body, charge.id)


def attempt(
    intent: PaymentIntent,
    payment_method: str,
    decline: Decline | None,
    *,
    serial: int,
    now: int,
    is_authenticated: bool = False,
) -> Charge:
    """Return the charge of a confirmation: authorized, captured, or failed with ``decline``."""
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
        capture_before=now + AUTHORIZATION_SECONDS if approved and manual else None,
        failure_code=decline.code if decline else None,
        failure_message=decline.message if decline else None,
        decline_code=decline.decline_code if decline else None,
        is_authenticated=is_authenticated,
    )
