"""Stripe's JSON for each object, with every field that a card payment has.

The sandbox has no balance transactions, customers, reviews or transfers: links to them are null.
"""

from collections.abc import Iterable

from sandbox.http_service.json_values import JsonObject
from sandbox.stripe_api.cards import TEST_CARDS, Decline
from sandbox.stripe_api.errors import doc_url
from sandbox.stripe_api.records import Charge, PaymentIntent, Refund, RefundStatus

EXPIRY: JsonObject = {"exp_month": 12, "exp_year": 2034}
NO_ADDRESS: JsonObject = dict.fromkeys(
    ("city", "country", "line1", "line2", "postal_code", "state")
)
NO_BILLING_DETAILS: JsonObject = {
    "address": NO_ADDRESS,
    "email": None,
    "name": None,
    "phone": None,
    "tax_id": None,
}
CHECKS: JsonObject = {
    "address_line1_check": None,
    "address_postal_code_check": None,
    "cvc_check": "pass",
}
AUTHENTICATED: JsonObject = {
    "authentication_flow": "challenge",
    "electronic_commerce_indicator": "05",
    "exemption_indicator": None,
    "result": "authenticated",
    "result_reason": None,
    "transaction_id": None,
    "version": "2.2.0",
}
CARD_OPTIONS: JsonObject = {
    "installments": None,
    "mandate_options": None,
    "network": None,
    "request_three_d_secure": "automatic",
}
UNUSED_BY_INTENTS: JsonObject = dict.fromkeys(
    (
        "application",
        "application_fee_amount",
        "customer_account",
        "excluded_payment_method_types",
        "on_behalf_of",
        "payment_method_configuration_details",
        "processing",
        "review",
        "shipping",
        "source",
        "transfer_data",
        "transfer_group",
    )
)
UNUSED_BY_CHARGES: JsonObject = dict.fromkeys(
    (
        "application",
        "application_fee",
        "application_fee_amount",
        "balance_transaction",
        "failure_balance_transaction",
        "on_behalf_of",
        "receipt_email",
        "receipt_number",
        "receipt_url",
        "review",
        "shipping",
        "source",
        "source_transfer",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "transfer_data",
        "transfer_group",
    )
)


def serialize_payment_intent(intent: PaymentIntent) -> JsonObject:
    return {
        "id": intent.id,
        "object": "payment_intent",
        "allowed_payment_method_types": intent.allowed_payment_method_types,
        "amount": intent.amount,
        "amount_capturable": intent.amount_capturable,
        "amount_details": {"tip": {}},
        "amount_received": intent.amount_received,
        "automatic_payment_methods": intent.automatic_payment_methods,
        "canceled_at": intent.canceled_at,
        "cancellation_reason": intent.cancellation_reason,
        "capture_method": intent.capture_method,
        "client_secret": intent.client_secret,
        "confirmation_method": "automatic",
        "created": intent.created,
        "currency": intent.currency,
        "customer": intent.customer,
        "description": intent.description,
        "last_payment_error": intent.last_payment_error,
        "latest_charge": intent.latest_charge,
        "livemode": False,
        "metadata": intent.metadata,
        "next_action": intent.next_action,
        "payment_method": intent.payment_method,
        "payment_method_options": {"card": CARD_OPTIONS},
        "payment_method_types": ["card"],
        "receipt_email": intent.receipt_email,
        "setup_future_usage": intent.setup_future_usage,
        "statement_descriptor": intent.statement_descriptor,
        "statement_descriptor_suffix": intent.statement_descriptor_suffix,
        "status": intent.status,
        **UNUSED_BY_INTENTS,
    }


def serialize_charge(charge: Charge) -> JsonObject:
    return {
        "id": charge.id,
        "object": "charge",
        "amount": charge.amount,
        "amount_captured": charge.amount_captured,
        "amount_refunded": charge.amount_refunded,
        "billing_details": NO_BILLING_DETAILS,
        "calculated_statement_descriptor": "HOLDFAST SANDBOX",
        "captured": charge.captured,
        "created": charge.created,
        "currency": charge.currency,
        "customer": charge.customer,
        "description": charge.description,
        "disputed": False,
        "failure_code": charge.failure_code,
        "failure_message": charge.failure_message,
        "fraud_details": {},
        "livemode": False,
        "metadata": charge.metadata,
        "outcome": _outcome(charge),
        "paid": charge.failure_code is None,
        "payment_intent": charge.payment_intent,
        "payment_method": charge.payment_method,
        "payment_method_details": {"card": _charged_card(charge), "type": "card"},
        "refunded": charge.captured and charge.amount_refunded == charge.amount_captured,
        "status": charge.status,
        **UNUSED_BY_CHARGES,
    }


def serialize_refund(refund: Refund) -> JsonObject:
    body: JsonObject = {
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "balance_transaction": None,
        "charge": refund.charge,
        "created": refund.created,
        "currency": refund.currency,
        "customer": None,
        "customer_account": None,
        "destination_details": {
            "card": {
                "reference_status": "pending",
                "reference_type": "acquirer_reference_number",
                "type": "refund",
            },
            "type": "card",
        },
        "metadata": refund.metadata,
        "payment_intent": refund.payment_intent,
        "payment_method": refund.payment_method,
        "reason": refund.reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": refund.status,
        "transfer_reversal": None,
    }
    if refund.failure_reason is not None:
        body["failure_reason"] = refund.failure_reason
    if refund.status == RefundStatus.PENDING:
        body["pending_reason"] = "processing"
    return body


def serialize_payment_method(token: str, *, created: int) -> JsonObject:
    """Return a test payment method with its name as its id; Stripe would create an id."""
    card = TEST_CARDS[token]
    return {
        "id": token,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": NO_BILLING_DETAILS,
        "card": {
            "brand": card.brand,
            "checks": CHECKS,
            "country": card.country,
            "display_brand": card.brand,
            **EXPIRY,
            "fingerprint": f"sandbox{card.last4}{card.funding}",
            "funding": card.funding,
            "generated_from": None,
            "last4": card.last4,
            "networks": {"available": [card.brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "created": created,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": "card",
    }


def serialize_card_error(
    decline: Decline, token: str, *, charge: Charge | None, now: int
) -> JsonObject:
    """Return why a confirmation failed: ``last_payment_error``, and most of the body of a 402."""
    body: JsonObject = {
        "code": decline.code,
        "doc_url": doc_url(decline.code),
        "message": decline.message,
        "payment_method": serialize_payment_method(token, created=now),
        "type": decline.type,
    }
    if decline.decline_code is not None:
        body["decline_code"] = decline.decline_code
    if charge is not None:
        body["charge"] = charge.id
    return body


def serialize_list(url: str, data: Iterable[JsonObject], *, has_more: bool) -> JsonObject:
    return {"object": "list", "data": list(data), "has_more": has_more, "url": url}


def _outcome(charge: Charge) -> JsonObject:
    approved = charge.failure_code is None
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network" if approved else "declined_by_network",
        "reason": charge.decline_code or charge.failure_code,
        "risk_level": "normal",
        "risk_score": 20,
        "seller_message": "Payment complete." if approved else "The bank declined the payment.",
        "type": "authorized" if approved else "issuer_declined",
    }


def _charged_card(charge: Charge) -> JsonObject:
    card = TEST_CARDS[charge.payment_method]
    body: JsonObject = {
        "amount_authorized": None if charge.failure_code else charge.amount,
        "authorization_code": None,
        "brand": card.brand,
        "checks": CHECKS,
        "country": card.country,
        **EXPIRY,
        "extended_authorization": {"status": "disabled"},
        "fingerprint": f"sandbox{card.last4}{card.funding}",
        "funding": card.funding,
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "last4": card.last4,
        "mandate": None,
        "multicapture": {"status": "unavailable"},
        "network": card.brand,
        "network_token": {"used": False},
        "network_transaction_id": None,
        "overcapture": {
            "maximum_amount_capturable": charge.amount,
            "status": "unavailable",
        },
        "regulated_status": "unregulated",
        "three_d_secure": AUTHENTICATED if charge.is_authenticated else None,
        "wallet": None,
    }
    if charge.capture_before is not None:
        body["capture_before"] = charge.capture_before
    return body
