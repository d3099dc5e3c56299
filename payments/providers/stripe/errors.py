"""What Stripe's errors mean: one table from the library's errors and codes to ours."""

from collections.abc import Mapping
from http import HTTPStatus

import stripe

from outbound.service import Call
from payments.errors import (
    AccessDenied,
    OutcomeUnknown,
    PaymentDeclined,
    PaymentError,
    ProviderBusy,
    RefundRejected,
    RequestRejected,
)
from payments.provider_types import ProviderPayment
from payments.providers.stripe.decline_codes import decline_code_of
from payments.providers.stripe.objects import read_payment

WRONG_STATE = frozenset(
    {
        "payment_intent_unexpected_state",
        "charge_already_captured",
        "charge_expired_for_capture",
        "capture_charge_authorization_expired",
    }
)
_METHOD_UNUSABLE = frozenset(
    {
        "payment_intent_incompatible_payment_method",
        "payment_method_currency_mismatch",
        "payment_method_invalid_parameter",
        "payment_method_unactivated",
        "payment_method_unexpected_state",
        "payment_method_unsupported_type",
    }
)
_REFUND_IMPOSSIBLE = frozenset(
    {
        "charge_already_refunded",
        "charge_disputed",
        "charge_not_refundable",
        "refund_disputed_payment",
    }
)


def in_our_words(error: stripe.StripeError, call: Call) -> Exception:
    """The one table from the library's errors to ours; what is not in it stays itself."""
    text = _describe(error, call)
    match error:
        case stripe.CardError():
            return PaymentDeclined(decline_code_of(error.error), payment=payment_in(error))
        case stripe.RateLimitError() | stripe.APIError(http_status=HTTPStatus.CONFLICT):
            return ProviderBusy(text)
        case stripe.APIError() | stripe.APIConnectionError():
            return unknown(text, call)
        case stripe.AuthenticationError() | stripe.PermissionError():
            return AccessDenied(text)
        case stripe.IdempotencyError():
            return RequestRejected(text)
    return error


def rejection(error: stripe.InvalidRequestError, call: Call) -> PaymentError:
    """Return the error of a request that Stripe did not accept: not always a fault of ours."""
    code = error.code or ""
    if code in _REFUND_IMPOSSIBLE:
        return RefundRejected(code)
    if code in _METHOD_UNUSABLE:
        return PaymentDeclined(code, payment=payment_in(error))
    if code == "resource_missing" and error.param == "payment_method":
        return PaymentDeclined("unknown_payment_method")
    return RequestRejected(_describe(error, call))


def _describe(error: stripe.StripeError, call: Call) -> str:
    """Describe an error for a log, without anything that we sent or that Stripe wrote."""
    if isinstance(error, stripe.APIConnectionError):
        return f"{call.operation}: {error.user_message}"
    stated = (getattr(error.error, "type", None), getattr(error.error, "code", None))
    said = " ".join(filter(None, (str(error.http_status), *stated)))
    request = _answer_headers(call).get("Request-Id")
    return f"{call.operation}: {said}, request {request}"


def unknown(text: str, call: Call) -> OutcomeUnknown:
    replayed = _answer_headers(call).get("Idempotent-Replayed") == "true"
    return OutcomeUnknown(text, replayed=replayed)


def _answer_headers(call: Call) -> Mapping[str, str]:
    return call.response.headers if call.response is not None else {}


def payment_in(error: stripe.StripeError) -> ProviderPayment | None:
    found = getattr(error.error, "payment_intent", None)
    return read_payment(found) if found else None
