"""What Stripe's errors mean: by their status here, and by their code in ``error_codes``."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

import stripe

from outbound.service import Call
from payments.errors import (
    AccessDenied,
    NotDoneYet,
    OutcomeUnknown,
    PaymentDeclined,
    PaymentError,
    RefundRejected,
    RequestRejected,
    UnknownPayment,
)
from payments.provider_types import ProviderPayment
from payments.providers.stripe.decline_codes import decline_code_of
from payments.providers.stripe.error_codes import Meaning, meaning_of_code
from payments.providers.stripe.objects import read_payment

_PAYMENT_ID_PARAMS: Final = ("intent", "payment_intent", "id")
"""The names of the parameter that holds a PaymentIntent's id."""


def translated_error(error: stripe.StripeError, call: Call) -> Exception:
    """Return our error for an error of Stripe's library, or the same error if it has no meaning here.

    The caller handles WRONG_STATUS itself if it knows which payment to read.
    """
    meaning = meaning_of_error(error)
    return error if meaning is None else _ERRORS[meaning](error, call)


def meaning_of_error(error: stripe.StripeError) -> Meaning | None:
    """Return what an error means. The HTTP status decides first: a 5xx is UNKNOWN with any code."""
    match error:
        case stripe.CardError():
            return Meaning.DECLINED
        case stripe.RateLimitError() | stripe.APIError(http_status=HTTPStatus.CONFLICT):
            return Meaning.BUSY
        case stripe.APIError() | stripe.APIConnectionError():
            return Meaning.UNKNOWN
        case stripe.AuthenticationError() | stripe.PermissionError():
            return Meaning.CONFIGURATION
        case stripe.InvalidRequestError():
            return meaning_of_code(error.code, error.param)
    return Meaning.BUG if isinstance(error, stripe.IdempotencyError) else None


def _declined(error: stripe.StripeError, _: Call) -> PaymentError:
    return PaymentDeclined(decline_code_of(error.error), payment=payment_of_error(error))


def _missing(error: stripe.StripeError, call: Call) -> PaymentError:
    param = getattr(error, "param", None)
    if param == "payment_method":
        return PaymentDeclined("unknown_payment_method")
    if param in _PAYMENT_ID_PARAMS:
        return UnknownPayment(_describe(error, call))
    return _rejected(error, call)


def _rejected(error: stripe.StripeError, call: Call) -> PaymentError:
    if call.operation == "create_refund" and getattr(error, "param", None) == "amount":
        # More than is left to refund; Stripe's error has no code.
        return RefundRejected(_code(error) or "amount_not_refundable")
    return RequestRejected(_describe(error, call), _code(error))


def _code(error: stripe.StripeError) -> str:
    return getattr(error.error, "code", None) or ""


def _describe(error: stripe.StripeError, call: Call) -> str:
    """Describe an error for a log, without anything that we sent or that Stripe wrote."""
    if isinstance(error, stripe.APIConnectionError):
        return f"{call.operation}: {error.user_message}"
    error_fields = (getattr(error.error, "type", None), getattr(error.error, "code", None))
    summary = " ".join(filter(None, (str(error.http_status), *error_fields)))
    request = _answer_headers(call).get("Request-Id")
    return f"{call.operation}: {summary}, request {request}"


def outcome_unknown(text: str, call: Call) -> OutcomeUnknown:
    replayed = _answer_headers(call).get("Idempotent-Replayed") == "true"
    return OutcomeUnknown(text, replayed=replayed)


def _answer_headers(call: Call) -> Mapping[str, str]:
    return call.response.headers if call.response is not None else {}


def payment_of_error(error: stripe.StripeError) -> ProviderPayment | None:
    found = getattr(error.error, "payment_intent", None)
    return read_payment(found) if found else None


_ERRORS: Final[Mapping[Meaning, Callable[[stripe.StripeError, Call], PaymentError]]] = {
    Meaning.DECLINED: _declined,
    Meaning.CUSTOMER_INPUT: _declined,
    Meaning.WRONG_STATUS: _rejected,
    Meaning.REFUND_IMPOSSIBLE: lambda error, _: RefundRejected(_code(error)),
    Meaning.BUSY: lambda error, call: NotDoneYet(_describe(error, call)),
    Meaning.UNKNOWN: lambda error, call: outcome_unknown(_describe(error, call), call),
    Meaning.CONFIGURATION: lambda error, call: AccessDenied(_describe(error, call)),
    Meaning.BUG: _rejected,
    Meaning.MISSING: _missing,
}
