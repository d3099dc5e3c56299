"""/v1/payment_intents: create, update, confirm, capture, cancel, retrieve, list.

Liberties: the account settles in every currency that has a minimum, so no amount is converted; it
has cards as its only payment method, so that a confirmation never needs a ``return_url``; a test
payment method keeps its own name instead of getting an id. ``payment_method_types`` is refused, as Stripe does since its
version 2026-09-30.endive.
"""

from dataclasses import replace

from sandbox.http_service.json_values import JsonObject
from sandbox.stripe_api.account import Account
from sandbox.stripe_api.cards import TEST_CARDS
from sandbox.stripe_api.confirmation import Terms, confirm
from sandbox.stripe_api.currencies import check_amount, check_currency, check_multiple
from sandbox.stripe_api.errors import invalid, missing, no_such, refused, unexpected_state
from sandbox.stripe_api.form_params import Parameters
from sandbox.stripe_api.identifiers import new_id
from sandbox.stripe_api.operations import Call, Outcome, expansions
from sandbox.stripe_api.pages import Range, page
from sandbox.stripe_api.records import Charge, IntentStatus, PaymentIntent
from sandbox.stripe_api.serializers import charge_shape, list_shape, payment_intent_shape

CAPTURE_METHODS = ("automatic", "automatic_async", "manual")
CANCELLATION_REASONS = ("abandoned", "duplicate", "fraudulent", "requested_by_customer")
EXPANDABLE = frozenset({"latest_charge"})


def create(account: Account, call: Call) -> Outcome:
    given = call.parameters
    amount, currency = _amount(given), _currency(given)
    check_amount(amount, currency)
    confirmed_at_once = bool(given.flag("confirm"))
    terms = Terms.read(given, confirm=confirmed_at_once)
    payment_method = _payment_method(given)
    if confirmed_at_once and payment_method is None:
        raise missing("payment_method")
    expand = expansions(given, allowed=EXPANDABLE)
    allowed = _allowed_types(given)
    intent_id = new_id("pi")
    intent = PaymentIntent(
        id=intent_id,
        serial=account.next_serial,
        created=call.now,
        amount=amount,
        currency=currency,
        status=_status_with(payment_method),
        capture_method=_capture_method(given) or "automatic",
        client_secret=new_id(f"{intent_id}_secret"),
        payment_method=payment_method,
        customer=_customer(given),
        description=given.text("description"),
        receipt_email=given.text("receipt_email"),
        statement_descriptor=given.text("statement_descriptor"),
        statement_descriptor_suffix=given.text("statement_descriptor_suffix"),
        setup_future_usage=given.choice("setup_future_usage", ("off_session", "on_session")),
        allowed_payment_method_types=allowed,
        automatic_payment_methods=_automatic_payment_methods(given, allowed=allowed),
        metadata=given.metadata(onto={}),
    )
    given.choice("confirmation_method", ("automatic",))
    given.reject_unknown()
    if confirmed_at_once:
        serial = account.next_serial + 1
        return confirm(intent, terms, call, expand=expand, serial=serial)
    return Outcome(payment_intent_shape(intent), intent.id, (intent,))


def update(account: Account, call: Call) -> Outcome:
    """Change what only describes the payment; its amount and card stay as they were created."""
    intent = _target(account, call)
    given = call.parameters
    updated = replace(
        intent,
        metadata=given.metadata(onto=intent.metadata),
        description=given.text("description") or intent.description,
        receipt_email=given.text("receipt_email") or intent.receipt_email,
    )
    expand = expansions(given, allowed=EXPANDABLE)
    given.reject_unknown()
    if intent.status == IntentStatus.CANCELED:
        raise unexpected_state(
            "This PaymentIntent could not be updated because it has a status of canceled.",
            payment_intent_shape(intent),
        )
    return Outcome(_shape(account, updated, expand), intent.id, (updated,))


def confirm_existing(account: Account, call: Call) -> Outcome:
    intent = _target(account, call)
    given = call.parameters
    terms = Terms.read(given, confirm=True)
    expand = expansions(given, allowed=EXPANDABLE)
    intent = replace(
        intent,
        payment_method=_payment_method(given) or intent.payment_method,
        capture_method=_capture_method(given) or intent.capture_method,
        receipt_email=given.text("receipt_email") or intent.receipt_email,
    )
    given.reject_unknown()
    return confirm(intent, terms, call, expand=expand, serial=account.next_serial)


def capture(account: Account, call: Call) -> Outcome:
    """Take what is held, or less: the rest is released at once, and there is no second capture."""
    intent = _target(account, call)
    given = call.parameters
    asked = given.integer("amount_to_capture", at_least=1)
    metadata = given.metadata(onto=intent.metadata)
    expand = expansions(given, allowed=EXPANDABLE)
    if given.flag("final_capture") is False:
        raise invalid("This account does not have multicapture.", param="final_capture")
    given.reject_unknown()
    if intent.status != IntentStatus.REQUIRES_CAPTURE or intent.latest_charge is None:
        raise unexpected_state(
            "This PaymentIntent could not be captured because it has a status of "
            f"{intent.status}. Only a PaymentIntent with one of the following statuses may be "
            "captured: requires_capture.",
            payment_intent_shape(intent),
        )
    amount = intent.amount_capturable if asked is None else asked
    check_multiple(amount, intent.currency, param="amount_to_capture")
    if amount > intent.amount_capturable:
        raise refused(
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
    return Outcome(_shape(account, captured, expand, charge), intent.id, (captured, charge))


def cancel(account: Account, call: Call) -> Outcome:
    """Let go of what is held, if anything is, and never charge this intent again."""
    intent = _target(account, call)
    given = call.parameters
    reason = given.choice("cancellation_reason", CANCELLATION_REASONS)
    expand = expansions(given, allowed=EXPANDABLE)
    given.reject_unknown()
    if intent.status in {IntentStatus.SUCCEEDED, IntentStatus.CANCELED}:
        raise unexpected_state(
            f"You cannot cancel this PaymentIntent because it has a status of {intent.status}. "
            "Only a PaymentIntent with one of the following statuses may be canceled: "
            "requires_payment_method, requires_capture, requires_confirmation, requires_action, "
            "processing.",
            payment_intent_shape(intent),
        )
    canceled = canceled_version(intent, reason=reason, now=call.now)
    return Outcome(_shape(account, canceled, expand), intent.id, (canceled,))


def canceled_version(intent: PaymentIntent, *, reason: str | None, now: int) -> PaymentIntent:
    return replace(
        intent,
        status=IntentStatus.CANCELED,
        amount_capturable=0,
        canceled_at=now,
        cancellation_reason=reason,
        next_action=None,
    )


def retrieve(account: Account, call: Call) -> Outcome:
    intent = _target(account, call)
    expand = expansions(call.parameters, allowed=EXPANDABLE)
    call.parameters.text("client_secret")
    call.parameters.reject_unknown()
    return Outcome(_shape(account, intent, expand), intent.id)


def list_all(account: Account, call: Call) -> Outcome:
    given = call.parameters
    wanted = Range.read(given)
    customer = given.text("customer")
    expand = expansions(given, allowed=EXPANDABLE, prefix="data.")
    given.reject_unknown()
    intents, has_more = page(
        account.intents,
        account.intents.ids,
        wanted,
        kind="payment_intent",
        where=lambda intent: customer is None or intent.customer == customer,
    )
    data = [_shape(account, intent, expand) for intent in intents]
    return Outcome(list_shape("/v1/payment_intents", data, has_more=has_more))


def _target(account: Account, call: Call) -> PaymentIntent:
    intent = account.intents.get(call.target)
    if intent is None:
        raise no_such("payment_intent", call.target, param="intent")
    return intent


def _shape(
    account: Account, intent: PaymentIntent, expand: set[str], charge: Charge | None = None
) -> JsonObject:
    """``charge`` is the new version of the latest charge, if this very call makes one."""
    shape = payment_intent_shape(intent)
    if expand and intent.latest_charge is not None:
        shape["latest_charge"] = charge_shape(charge or account.charges[intent.latest_charge])
    return shape


def _status_with(payment_method: str | None) -> IntentStatus:
    if payment_method is None:
        return IntentStatus.REQUIRES_PAYMENT_METHOD
    return IntentStatus.REQUIRES_CONFIRMATION


def _amount(given: Parameters) -> int:
    amount = given.integer("amount", at_least=1)
    if amount is None:
        raise missing("amount")
    return amount


def _currency(given: Parameters) -> str:
    currency = given.required_text("currency").lower()
    check_currency(currency)
    return currency


def _capture_method(given: Parameters) -> str | None:
    return given.choice("capture_method", CAPTURE_METHODS)


def _payment_method(given: Parameters) -> str | None:
    token = given.text("payment_method")
    if token is not None and token not in TEST_CARDS:
        raise no_such("PaymentMethod", token, param="payment_method", status=400)
    return token


def _customer(given: Parameters) -> str | None:
    """Any customer will do: the sandbox keeps none, and only filters by their ids."""
    customer = given.text("customer")
    if customer is not None and not customer.startswith("cus_"):
        raise no_such("customer", customer, param="customer", status=400)
    return customer


def _allowed_types(given: Parameters) -> list[str] | None:
    allowed = given.texts("allowed_payment_method_types")
    if allowed and "card" not in allowed:
        raise invalid("This account accepts cards only.", param="allowed_payment_method_types")
    return allowed or None


def _automatic_payment_methods(
    given: Parameters, *, allowed: list[str] | None
) -> JsonObject | None:
    """What Stripe would echo: on by default, off when the types are named."""
    automatic = given.nested("automatic_payment_methods")
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
