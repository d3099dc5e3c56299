"""/v1/refunds: create, update, retrieve, list. A charge is never refunded beyond its capture."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from sandbox.http_service.json_values import JsonObject
from sandbox.stripe_api.account import Account
from sandbox.stripe_api.cards import TEST_CARDS, RefundBehaviour
from sandbox.stripe_api.currencies import check_multiple
from sandbox.stripe_api.errors import ApiError, invalid, no_such, rejected
from sandbox.stripe_api.form_params import Parameters
from sandbox.stripe_api.identifiers import new_id
from sandbox.stripe_api.operations import Call, OperationResult, expansions
from sandbox.stripe_api.pages import PageRequest, page
from sandbox.stripe_api.records import Charge, Refund, RefundStatus
from sandbox.stripe_api.serializers import (
    serialize_charge,
    serialize_list,
    serialize_payment_intent,
    serialize_refund,
)

SETTLES_AFTER: Final = int(timedelta(minutes=10).total_seconds())
"""How long a refund takes that does not end at once. Stripe's documentation says "later"."""

REASONS = ("duplicate", "fraudulent", "requested_by_customer")
EXPANDABLE = frozenset({"charge", "payment_intent"})


def create(account: Account, call: Call) -> OperationResult:
    params = call.parameters
    charge = _charge_to_refund(account, params)
    requested = params.integer("amount", at_least=1)
    reason = params.choice("reason", REASONS)
    metadata = params.metadata(onto={})
    expand = expansions(params, allowed=EXPANDABLE)
    params.reject_unknown()
    amount = _refundable(charge, requested)
    check_multiple(amount, charge.currency, param="amount")
    behaviour = TEST_CARDS[charge.payment_method].refunds
    at_once = behaviour is RefundBehaviour.AT_ONCE
    refund = Refund(
        id=new_id("re"),
        serial=account.next_serial,
        created=call.now,
        payment_intent=charge.payment_intent,
        charge=charge.id,
        payment_method=charge.payment_method,
        amount=amount,
        currency=charge.currency,
        status=RefundStatus.PENDING
        if behaviour is RefundBehaviour.LATER
        else RefundStatus.SUCCEEDED,
        reason=reason,
        metadata=metadata,
        settles_at=None if at_once else call.now + SETTLES_AFTER,
    )
    refunded = replace(charge, amount_refunded=charge.amount_refunded + amount)
    return OperationResult(_body(account, refund, expand, refunded), refund.id, (refund, refunded))


def update(account: Account, call: Call) -> OperationResult:
    refund = _target(account, call)
    updated = replace(refund, metadata=call.parameters.metadata(onto=refund.metadata))
    expand = expansions(call.parameters, allowed=EXPANDABLE)
    call.parameters.reject_unknown()
    return OperationResult(_body(account, updated, expand), refund.id, (updated,))


def retrieve(account: Account, call: Call) -> OperationResult:
    refund = _target(account, call)
    expand = expansions(call.parameters, allowed=EXPANDABLE)
    call.parameters.reject_unknown()
    return OperationResult(_body(account, refund, expand), refund.id)


def list_all(account: Account, call: Call) -> OperationResult:
    params = call.parameters
    page_request = PageRequest.read(params)
    intent_id, charge_id = params.text("payment_intent"), params.text("charge")
    expand = expansions(params, allowed=EXPANDABLE, prefix="data.")
    params.reject_unknown()
    ids = account.refunds.ids
    if intent_id is not None:
        intent = account.intents.get(intent_id)
        if intent is None:
            raise no_such("payment_intent", intent_id, param="payment_intent", status=400)
        charge_id = intent.latest_charge or ""
    if charge_id is not None:
        ids = account.refunds_of.get(charge_id, [])
    refunds, has_more = page(account.refunds, ids, page_request, kind="refund")
    data = [_body(account, refund, expand) for refund in refunds]
    return OperationResult(serialize_list("/v1/refunds", data, has_more=has_more))


def _target(account: Account, call: Call) -> Refund:
    refund = account.refunds.get(call.target)
    if refund is None:
        raise no_such("refund", call.target, param="id")
    return refund


def _body(
    account: Account, refund: Refund, expand: set[str], charge: Charge | None = None
) -> JsonObject:
    body = serialize_refund(refund)
    if "charge" in expand:
        body["charge"] = serialize_charge(charge or account.charges[refund.charge])
    if "payment_intent" in expand:
        body["payment_intent"] = serialize_payment_intent(account.intents[refund.payment_intent])
    return body


def _charge_to_refund(account: Account, params: Parameters) -> Charge:
    intent_id, charge_id = params.text("payment_intent"), params.text("charge")
    if (intent_id is None) == (charge_id is None):
        raise invalid(
            "One of the following params should be provided for this request: payment_intent or "
            "charge.",
            param="payment_intent",
            code="parameter_missing",
        )
    if charge_id is None:
        charge_id = _charge_of(account, intent_id or "")
    charge = account.charges.get(charge_id)
    if charge is None:
        raise no_such("charge", charge_id, param="charge", status=400)
    if not charge.captured:
        raise _nothing_to_refund(charge.payment_intent)
    return charge


def _charge_of(account: Account, intent_id: str) -> str:
    intent = account.intents.get(intent_id)
    if intent is None:
        raise no_such("payment_intent", intent_id, param="payment_intent", status=400)
    if intent.latest_charge is None:
        raise _nothing_to_refund(intent_id)
    return intent.latest_charge


def _nothing_to_refund(intent_id: str) -> ApiError:
    return rejected(
        f"This PaymentIntent ({intent_id}) does not have a successful charge to refund."
    )


def _refundable(charge: Charge, requested: int | None) -> int:
    left = charge.amount_captured - charge.amount_refunded
    currency = charge.currency.upper()
    if left == 0:
        raise rejected(
            f"Charge {charge.id} has already been refunded.", code="charge_already_refunded"
        )
    if requested is not None and requested > left:
        raise rejected(
            f"Refund amount ({requested} {currency}) is greater than unrefunded amount on charge "
            f"({left} {currency})",
            param="amount",
        )
    return left if requested is None else requested
