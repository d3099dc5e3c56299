"""/v1/payment_intents: create, update, confirm, capture, cancel, retrieve, list.

Differences from Stripe:

* The account settles in every currency that has a minimum, so no amount is converted.
* Cards are the only payment method, so a confirmation never needs a ``return_url``.
* A test payment method keeps its name as its id.
* A customer authenticates on the page of ``authentication_page``, as long as the intent waits.

``payment_method_types`` is rejected, as by Stripe since its version 2026-09-30.endive.
"""

from dataclasses import replace

from sandbox.http_service.json_values import JsonObject
from sandbox.stripe_api.account import Account
from sandbox.stripe_api.cards import TEST_CARDS
from sandbox.stripe_api.confirmation import ConfirmOptions, confirm
from sandbox.stripe_api.currencies import check_amount, check_currency, check_multiple
from sandbox.stripe_api.errors import invalid, missing, no_such, rejected, unexpected_state
from sandbox.stripe_api.form_params import Parameters
from sandbox.stripe_api.identifiers import new_id
from sandbox.stripe_api.operations import Call, OperationResult, expansions
from sandbox.stripe_api.pages import PageRequest, page
from sandbox.stripe_api.records import Charge, IntentStatus, PaymentIntent
from sandbox.stripe_api.serializers import (
    serialize_charge,
    serialize_list,
    serialize_payment_intent,
)

CAPTURE_METHODS = ("automatic", "automatic_async", "manual")
CANCELLATION_REASONS = ("abandoned", "duplicate", "fraudulent", "requested_by_customer")
EXPANDABLE = frozenset({"latest_charge"})


def create(account: Account, call: Call) -> OperationResult:
    params = call.parameters
    amount, currency = _amount(params), _currency(params)
    check_amount(amount, currency)
    confirmed_at_once = bool(params.flag("confirm"))
    options = ConfirmOptions.read(params, confirm=confirmed_at_once)
    payment_method = _payment_method(params)
    if confirmed_at_once and payment_method is None:
        raise missing("payment_method")
    expand = expansions(params, allowed=EXPANDABLE)
    allowed = _allowed_types(params)
    intent_id = new_id("pi")
    intent = PaymentIntent(
        id=intent_id,
        serial=account.next_serial,
        created=call.now,
        amount=amount,
        currency=currency,
        status=_status_with(payment_method),
        capture_method=_capture_method(params) or "automatic",
        client_secret=new_id(f"{intent_id}_secret"),
        payment_method=payment_method,
        customer=_customer(params),
        description=params.text("description"),
        receipt_email=params.text("receipt_email"),
        statement_descriptor=params.text("statement_descriptor"),
        statement_descriptor_suffix=params.text("statement_descriptor_suffix"),
        setup_future_usage=params.choice("setup_future_usage", ("off_session", "on_session")),
        allowed_payment_method_types=allowed,
        automatic_payment_methods=_automatic_payment_methods(params, allowed=allowed),
        metadata=params.metadata(onto={}),
    )
    params.choice("confirmation_method", ("automatic",))
    params.reject_unknown()
    if confirmed_at_once:
        serial = account.next_serial + 1
        return confirm(intent, options, call, expand=expand, serial=serial)
    return OperationResult(serialize_payment_intent(intent), intent.id, (intent,))


def update(account: Account, call: Call) -> OperationResult:
    """Change the description and metadata; amount and card stay as they were created."""
    intent = _target(account, call)
    params = call.parameters
    updated = replace(
        intent,
        metadata=params.metadata(onto=intent.metadata),
        description=params.text("description") or intent.description,
        receipt_email=params.text("receipt_email") or intent.receipt_email,
    )
    expand = expansions(params, allowed=EXPANDABLE)
    params.reject_unknown()
    if intent.status == IntentStatus.CANCELED:
        raise unexpected_state(
            "This PaymentIntent could not be updated because it has a status of canceled.",
            serialize_payment_intent(intent),
        )
    return OperationResult(_body(account, updated, expand), intent.id, (updated,))


def confirm_existing(account: Account, call: Call) -> OperationResult:
    intent = _target(account, call)
    params = call.parameters
    options = ConfirmOptions.read(params, confirm=True)
    expand = expansions(params, allowed=EXPANDABLE)
    intent = replace(
        intent,
        payment_method=_payment_method(params) or intent.payment_method,
        capture_method=_capture_method(params) or intent.capture_method,
        receipt_email=params.text("receipt_email") or intent.receipt_email,
    )
    params.reject_unknown()
    return confirm(intent, options, call, expand=expand, serial=account.next_serial)


def capture(account: Account, call: Call) -> OperationResult:
    """Capture the held amount, or less: the rest is released, and cannot be captured later."""
    intent = _target(account, call)
    params = call.parameters
    requested = params.integer("amount_to_capture", at_least=1)
    metadata = params.metadata(onto=intent.metadata)
    expand = expansions(params, allowed=EXPANDABLE)
    if params.flag("final_capture") is False:
        raise invalid("This account does not have multicapture.", param="final_capture")
    params.reject_unknown()
    if intent.status != IntentStatus.REQUIRES_CAPTURE or intent.latest_charge is None:
        raise unexpected_state(
            "This PaymentIntent could not be captured because it has a status of "
            f"{intent.status}. Only a PaymentIntent with one of the following statuses may be "
            "captured: requires_capture.",
            serialize_payment_intent(intent),
        )
    amount = intent.amount_capturable if requested is None else requested
    check_multiple(amount, intent.currency, param="amount_to_capture")
    if amount > intent.amount_capturable:
        raise rejected(
            "The requested capture amount is greater than the authorized amount.",
            param="amount_to_capture",
            code="amount_too_large",
        )
    charge = replace(account.charges[intent.latest_charge], captured=True, amount_captured=amount)
    captured = replace(
        intent,
        status=IntentStatus.SUCCEEDED,
        amount_capturable=0,
        amount_received=amount,
        metadata=metadata,
    )
    return OperationResult(_body(account, captured, expand, charge), intent.id, (captured, charge))


def cancel(account: Account, call: Call) -> OperationResult:
    """Release the held amount, if any. The intent can never be charged again."""
    intent = _target(account, call)
    params = call.parameters
    reason = params.choice("cancellation_reason", CANCELLATION_REASONS)
    expand = expansions(params, allowed=EXPANDABLE)
    params.reject_unknown()
    if intent.status in {IntentStatus.SUCCEEDED, IntentStatus.CANCELED}:
        raise unexpected_state(
            f"You cannot cancel this PaymentIntent because it has a status of {intent.status}. "
            "Only a PaymentIntent with one of the following statuses may be canceled: "
            "requires_payment_method, requires_capture, requires_confirmation, requires_action, "
            "processing.",
            serialize_payment_intent(intent),
        )
    canceled = canceled_version(intent, reason=reason, now=call.now)
    return OperationResult(_body(account, canceled, expand), intent.id, (canceled,))


def canceled_version(intent: PaymentIntent, *, reason: str | None, now: int) -> PaymentIntent:
    return replace(
        intent,
        status=IntentStatus.CANCELED,
        amount_capturable=0,
        canceled_at=now,
        cancellation_reason=reason,
        next_action=None,
    )


def retrieve(account: Account, call: Call) -> OperationResult:
    intent = _target(account, call)
    expand = expansions(call.parameters, allowed=EXPANDABLE)
    call.parameters.text("client_secret")
    call.parameters.reject_unknown()
    return OperationResult(_body(account, intent, expand), intent.id)


def list_all(account: Account, call: Call) -> OperationResult:
    params = call.parameters
    page_request = PageRequest.read(params)
    customer = params.text("customer")
    expand = expansions(params, allowed=EXPANDABLE, prefix="data.")
    params.reject_unknown()
    intents, has_more = page(
        account.intents,
        account.intents.ids,
        page_request,
        kind="payment_intent",
        where=lambda intent: customer is None or intent.customer == customer,
    )
    data = [_body(account, intent, expand) for intent in intents]
    return OperationResult(serialize_list("/v1/payment_intents", data, has_more=has_more))


def _target(account: Account, call: Call) -> PaymentIntent:
    intent = account.intents.get(call.target)
    if intent is None:
        raise no_such("payment_intent", call.target, param="intent")
    return intent


def _body(
    account: Account, intent: PaymentIntent, expand: set[str], charge: Charge | None = None
) -> JsonObject:
    """Return Stripe's JSON. ``charge`` is the latest charge if this call has changed it."""
    body = serialize_payment_intent(intent)
    if expand and intent.latest_charge is not None:
        body["latest_charge"] = serialize_charge(charge or account.charges[intent.latest_charge])
    return body


def _status_with(payment_method: str | None) -> IntentStatus:
    if payment_method is None:
        return IntentStatus.REQUIRES_PAYMENT_METHOD
    return IntentStatus.REQUIRES_CONFIRMATION


def _amount(params: Parameters) -> int:
    amount = params.integer("amount", at_least=1)
    if amount is None:
        raise missing("amount")
    return amount


def _currency(params: Parameters) -> str:
    currency = params.required_text("currency").lower()
    check_currency(currency)
    return currency


def _capture_method(params: Parameters) -> str | None:
    return params.choice("capture_method", CAPTURE_METHODS)


def _payment_method(params: Parameters) -> str | None:
    token = params.text("payment_method")
    if token is not None and token not in TEST_CARDS:
        raise no_such("PaymentMethod", token, param="payment_method", status=400)
    return token


def _customer(params: Parameters) -> str | None:
    """Accept any customer id: the sandbox has no customers, and only filters lists by it."""
    customer = params.text("customer")
    if customer is not None and not customer.startswith("cus_"):
        raise no_such("customer", customer, param="customer", status=400)
    return customer


def _allowed_types(params: Parameters) -> list[str] | None:
    allowed = params.texts("allowed_payment_method_types")
    if allowed and "card" not in allowed:
        raise invalid("This account accepts cards only.", param="allowed_payment_method_types")
    return allowed or None


def _automatic_payment_methods(
    params: Parameters, *, allowed: list[str] | None
) -> JsonObject | None:
    """Return what Stripe would: enabled by default, None if the types are named."""
    automatic = params.nested("automatic_payment_methods")
    if automatic is None:
        return {"allow_redirects": "always", "enabled": True} if allowed is None else None
    if allowed is not None:
        raise invalid(
            "You may only specify one of these parameters: allowed_payment_method_types, "
            "automatic_payment_methods.",
            param="allowed_payment_method_types",
            code="parameters_exclusive",
        )
    enabled = automatic.flag("enabled")
    redirects = automatic.choice("allow_redirects", ("always", "never")) or "always"
    automatic.reject_unknown(within="automatic_payment_methods")
    return {"allow_redirects": redirects, "enabled": True} if enabled else None
