"""What Stripe's errors mean: by their status here, and by their code in ``error_codes``."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

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
    UnknownPayment,
)
from payments.providers.protocol import ProviderPayment
from payments.providers.stripe.decline_codes import decline_code_of
from payments.providers.stripe.error_codes import Meaning, meaning_of
from payments.providers.stripe.objects import read_payment

_NAMES_A_PAYMENT: Final = ("intent", "payment_intent", "id")
"""How Stripe calls the parameter of a PaymentIntent that it does not have."""


def in_our_words(error: stripe.StripeError, call: Call) -> Exception:
    """Return our error for one of the library's; one that is not listed here stays itself.

    The status decides, and no code can turn a 5xx into an answer.
    """
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
        case stripe.InvalidRequestError():
            return in_our_words_by_code(error, call)
        case stripe.IdempotencyError():
            return RequestRejected(text, "idempotency_key_reused")
    return error


def in_our_words_by_code(error: stripe.InvalidRequestError, call: Call) -> PaymentError:
    """Return the error of a request that Stripe did not accept, by its code (``error_codes``).

    WRONG_STATE is the caller's to handle, where it knows which payment to look at.
    """
    code, text = error.code or "", _describe(error, call)
    match meaning_of(error.code, error.param):
        case Meaning.DECLINED | Meaning.CUSTOMER_INPUT:
            return PaymentDeclined(code, payment=payment_in(error))
        case Meaning.REFUND_IMPOSSIBLE:
            return RefundRejected(code)
        case Meaning.BUSY:
            return ProviderBusy(text)
        case Meaning.CONFIGURATION:
            return AccessDenied(text)
        case Meaning.MISSING if error.param == "payment_method":
            return PaymentDeclined("unknown_payment_method")
        case Meaning.MISSING if error.param in _NAMES_A_PAYMENT:
            return UnknownPayment(text)
        case Meaning.UNKNOWN:
            return unknown(text, call)
    return RequestRejected(text, code)


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
