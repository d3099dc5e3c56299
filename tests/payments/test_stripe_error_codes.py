"""Stripe's error codes: each is in the table, and each meaning raises one error of ours."""

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import pytest
import stripe  # noqa: TID251 -- its own list of codes
from pytest_django import Settings

from payments.errors import (
    AccessDenied,
    NotDoneYet,
    OutcomeUnknown,
    PaymentDeclined,
    PaymentError,
    RefundRejected,
    RequestRejected,
    UnknownPayment,
    WrongStatus,
)
from payments.providers.stripe.error_codes import _BY_MEANING, MEANINGS, Meaning, meaning_of_code
from tests.support.canned_http import CannedResponse, CannedServer, error_response, payment_response
from tests.support.stripe_calls import call_options, params, provider

ERRORS: dict[Meaning, type[PaymentError]] = {
    Meaning.DECLINED: PaymentDeclined,
    Meaning.CUSTOMER_INPUT: PaymentDeclined,
    Meaning.WRONG_STATUS: WrongStatus,
    Meaning.REFUND_IMPOSSIBLE: RefundRejected,
    Meaning.BUSY: NotDoneYet,
    Meaning.UNKNOWN: OutcomeUnknown,
    Meaning.CONFIGURATION: AccessDenied,
    Meaning.BUG: RequestRejected,
    Meaning.MISSING: RequestRejected,
}


@pytest.fixture(scope="module")
def canned() -> Iterator[CannedServer]:
    with CannedServer() as canned:
        yield canned


@pytest.fixture(autouse=True)
def canned_is_stripe(canned: CannedServer, settings: Settings) -> None:
    settings.STRIPE_CALLS_PER_SECOND = 0
    settings.STRIPE_API_KEY = "sk_test_secret"
    settings.STRIPE_API_BASE = canned.url
    canned.first_answers = []


def literals(annotation: Any) -> set[str]:
    if get_origin(annotation) is Literal:
        return set(get_args(annotation))
    return {value for part in get_args(annotation) for value in literals(part)}


def test_the_table_has_exactly_the_codes_of_the_library() -> None:
    annotation = stripe.PaymentIntent.LastPaymentError.__annotations__["code"]
    codes = literals(annotation)

    assert len(codes) > 200
    assert set(MEANINGS) == codes


def test_each_code_has_one_meaning() -> None:
    assert sum(len(codes.split()) for codes in _BY_MEANING.values()) == len(MEANINGS)


def test_a_code_outside_the_table_is_unknown() -> None:
    assert meaning_of_code("a_code_of_next_year", "amount") is Meaning.UNKNOWN
    assert meaning_of_code(None, "amount") is Meaning.BUG
    assert meaning_of_code(None, None) is Meaning.UNKNOWN


def confirm(canned: CannedServer, answer: CannedResponse) -> PaymentError:
    canned.first_answers = [answer]
    canned.answer = payment_response(status="canceled")
    with pytest.raises(PaymentError) as raised:
        provider.confirm_payment("pi_1", params(), **call_options())
    return raised.value


def test_every_code_raises_the_error_of_its_meaning(canned: CannedServer) -> None:
    found = {
        code: type(confirm(canned, error_response(400, type="invalid_request_error", code=code)))
        for code in MEANINGS
    }

    assert found == {code: ERRORS[meaning] for code, meaning in MEANINGS.items()}


@pytest.mark.parametrize("code", ["card_declined", "amount_too_small", "resource_missing"])
@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_error_is_unknown_whatever_its_code(
    canned: CannedServer, status: int, code: str
) -> None:
    assert type(confirm(canned, error_response(status, code=code))) is OutcomeUnknown


@pytest.mark.parametrize(
    ("code", "detail"),
    [("amount_too_small", "amount_too_small"), ("parameter_unknown", "parameter_unknown")],
)
def test_a_rejection_has_stripes_code_as_its_detail(
    canned: CannedServer, code: str, detail: str
) -> None:
    rejection = confirm(canned, error_response(400, type="invalid_request_error", code=code))

    assert isinstance(rejection, RequestRejected)
    assert (rejection.code, rejection.detail) == ("payment_rejected", detail)


@pytest.mark.parametrize("param", ["intent", "payment_intent", "id"])
def test_a_missing_payment_raises_unknown_payment(canned: CannedServer, param: str) -> None:
    answer = error_response(404, type="invalid_request_error", code="resource_missing", param=param)

    assert type(confirm(canned, answer)) is UnknownPayment


@pytest.mark.parametrize(
    ("amount_minor", "currency", "detail"),
    [(1205, "bhd", "amount_not_charged"), (1250, "mga", "amount_not_charged"),
     (1200, "xyz", "currency_not_charged")],
)  # fmt: skip
def test_an_amount_that_stripe_cannot_represent_is_not_sent(
    canned: CannedServer, amount_minor: int, currency: str, detail: str
) -> None:
    asked_before = len(canned.requests)

    with pytest.raises(RequestRejected) as rejected:
        provider.create_payment(
            {**params(), "amount": amount_minor, "currency": currency}, **call_options()
        )

    assert rejected.value.detail == detail
    assert len(canned.requests) == asked_before
