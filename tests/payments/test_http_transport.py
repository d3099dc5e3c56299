"""The HTTP requests of the Stripe provider, and its errors for unreadable answers."""

import logging
import ssl
import subprocess
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
import stripe  # noqa: TID251 -- where its own ca_file are
from pytest_django import Settings

from outbound.deadline import Deadline
from outbound.http_transport import HttpTransport
from payments.errors import (
    AccessDenied,
    DeadlinePassed,
    OutcomeUnknown,
    PaymentDeclined,
    PaymentError,
    RefundRejected,
    RequestRejected,
    WrongStatus,
)
from payments.provider_types import (
    CustomerAction,
    PaymentRequest,
    ProviderPaymentStatus,
    ProviderRefund,
    RefundStatus,
)
from payments.providers.stripe.provider import API_VERSION, StripeProvider
from tests.support.canned_http import (
    CannedResponse,
    CannedServer,
    error_response,
    payment_response,
    refund_response,
)

provider = StripeProvider()

PARAMS = provider.payment_params(
    PaymentRequest(
        amount_minor=1200,
        currency="EUR",
        payment_method="pm_card_visa",
        metadata={"order_id": "42"},
    )
)


@pytest.fixture
def canned(settings: Settings) -> Iterator[CannedServer]:
    settings.STRIPE_CALLS_PER_SECOND = 0
    settings.STRIPE_API_KEY = "sk_test_secret"
    with CannedServer() as canned:
        settings.STRIPE_API_BASE = canned.url
        yield canned


def soon() -> Deadline:
    return Deadline.after(timedelta(seconds=30))


def create(api_version: str = API_VERSION) -> None:
    provider.create_payment(PARAMS, key="key-1", api_version=api_version, deadline=soon())


def test_many_calls_go_over_one_connection(canned: CannedServer) -> None:
    for _ in range(20):
        provider.retrieve_payment("pi_1", deadline=soon())

    assert len(canned.requests) == 20
    assert canned.connections == 1


def test_threads_share_the_connections(canned: CannedServer) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(lambda _: provider.retrieve_payment("pi_1", deadline=soon()), range(200))
        )

    assert {answer.id for answer in answers} == {"pi_1"}
    assert len(canned.requests) == 200
    assert canned.connections <= 8


def test_a_post_carries_the_callers_key_and_version_and_no_telemetry(
    canned: CannedServer,
) -> None:
    provider.retrieve_payment("pi_1", deadline=soon())
    create(api_version="2025-01-27.acacia")

    headers = canned.requests[1].headers
    assert headers["Idempotency-Key"] == "key-1"
    assert headers["Stripe-Version"] == "2025-01-27.acacia"
    assert headers["Authorization"] == "Bearer sk_test_secret"
    assert not [name for name in headers if "telemetry" in name.lower()]


def test_a_get_uses_the_api_version_of_the_library(canned: CannedServer) -> None:
    provider.retrieve_payment("pi_1", deadline=soon())

    assert canned.requests[0].headers["Stripe-Version"] == API_VERSION
    assert "Idempotency-Key" not in canned.requests[0].headers


@pytest.mark.parametrize(("key", "api_version"), [("", API_VERSION), ("key-1", "")])
def test_nothing_is_sent_without_a_stored_key_and_version(
    canned: CannedServer, key: str, api_version: str
) -> None:
    with pytest.raises(ValueError, match="stored key and API version"):
        provider.create_payment(PARAMS, key=key, api_version=api_version, deadline=soon())

    assert canned.requests == []


def test_the_parameters_are_sent_as_stored(canned: CannedServer) -> None:
    create()

    assert parse_qs(canned.requests[0].body) == {
        "amount": ["1200"],
        "currency": ["eur"],
        "payment_method": ["pm_card_visa"],
        "allowed_payment_method_types[0]": ["card"],
        "capture_method": ["manual"],
        "metadata[order_id]": ["42"],
    }


def test_proxies_of_the_environment_are_not_used(
    canned: CannedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    provider.retrieve_payment("pi_1", deadline=soon())

    assert len(canned.requests) == 1


def test_redirects_are_not_followed(canned: CannedServer) -> None:
    with CannedServer() as stranger:
        canned.answer = CannedResponse("", 307, {"Location": f"{stranger.url}/v1/payment_intents"})

        with pytest.raises(OutcomeUnknown):
            create()

        assert stranger.requests == []
    assert len(canned.requests) == 1


def test_a_passed_deadline_sends_nothing(canned: CannedServer) -> None:
    with pytest.raises(DeadlinePassed):
        provider.retrieve_payment("pi_1", deadline=Deadline.after(timedelta(0)))

    assert canned.connections == 0


def test_certificates_and_host_names_are_checked() -> None:
    pool = HttpTransport(ca_file=stripe.ca_bundle_path)._pool

    context = pool.connection_pool_kw["ssl_context"]

    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname is True


UNREADABLE = {
    "a page": CannedResponse("<html>maintenance</html>"),
    "a page with 404": CannedResponse("<html>not here</html>", 404),
    "a page with 502": CannedResponse("<html>bad provider</html>", 502),
    "nothing": CannedResponse(""),
    "half an object": CannedResponse(payment_response().body[:60]),
    "no text": CannedResponse(b"\xff\xfe{}"),
    "not an object": CannedResponse("[]"),
    "an error of another shape": CannedResponse('{"error": "upstream is away"}', 503),
    "another object": CannedResponse('{"object": "balance", "available": []}'),
    "an unknown status": payment_response(status="requires_something_new"),
}


@pytest.mark.parametrize("answer", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_unreadable_answer_leaves_the_outcome_unknown(
    canned: CannedServer, answer: CannedResponse
) -> None:
    canned.answer = answer

    with pytest.raises(OutcomeUnknown) as unknown:
        create()

    assert unknown.value.replayed is False
    assert len(canned.requests) == 1


def create_refund() -> ProviderRefund:
    return provider.create_refund(
        "pi_1",
        amount_minor=1200,
        currency="eur",
        metadata={},
        key="key-1",
        api_version=API_VERSION,
        deadline=soon(),
    )


def test_a_refund_with_an_unknown_status_leaves_the_outcome_unknown(canned: CannedServer) -> None:
    canned.answer = refund_response(status="succeeded")
    assert create_refund().status is RefundStatus.SUCCEEDED

    for status in ("something_new", None):
        canned.answer = refund_response(status=status)
        with pytest.raises(OutcomeUnknown):
            create_refund()


@pytest.mark.parametrize("body", ["<html>oops</html>", '{"error": {"type": "api_error"}}'])
def test_a_replayed_server_error_is_recognized(canned: CannedServer, body: str) -> None:
    canned.answer = CannedResponse(body, 500, {"Idempotent-Replayed": "true"})

    with pytest.raises(OutcomeUnknown) as unknown:
        create()

    assert unknown.value.replayed is True


REFUSALS = [
    ("resource_missing", "payment_method", "unknown_payment_method"),
    ("payment_method_unactivated", "", "payment_method_unactivated"),
    ("payment_method_unexpected_state", "", "payment_method_unexpected_state"),
    (
        "payment_intent_incompatible_payment_method",
        "",
        "payment_intent_incompatible_payment_method",
    ),
]


@pytest.mark.parametrize(("code", "param", "expected"), REFUSALS)
def test_an_unusable_payment_method_is_declined(
    canned: CannedServer, code: str, param: str, expected: str
) -> None:
    canned.answer = error_response(400, type="invalid_request_error", code=code, param=param)

    with pytest.raises(PaymentDeclined) as refused:
        create()

    assert refused.value.decline_code == expected


def test_another_missing_resource_is_a_rejected_request(canned: CannedServer) -> None:
    canned.answer = error_response(
        404, type="invalid_request_error", code="resource_missing", param="customer"
    )

    with pytest.raises(RequestRejected):
        create()


@pytest.mark.parametrize("code", ["charge_already_refunded", "charge_disputed"])
def test_a_charge_that_cannot_be_refunded_raises_refund_rejected(
    canned: CannedServer, code: str
) -> None:
    canned.answer = error_response(400, type="invalid_request_error", code=code)

    with pytest.raises(RefundRejected) as refused:
        create_refund()

    assert refused.value.code == code


@pytest.mark.parametrize(
    ("return_url", "sent"),
    [("", ""), ("https://shop.example/paid", "return_url=https%3A%2F%2Fshop.example%2Fpaid")],
)
def test_a_return_url_is_sent_with_the_confirmation_only(
    canned: CannedServer, return_url: str, sent: str
) -> None:
    request = PaymentRequest(1200, "eur", "pm_card_visa", {}, return_url)
    params = provider.payment_params(request)
    options: dict[str, Any] = {"key": "key-1", "api_version": API_VERSION, "deadline": soon()}

    provider.create_payment(params, **options)
    provider.confirm_payment("pi_1", params, **options)

    create, confirm = (request.body for request in canned.requests)
    assert "return_url" not in create
    assert "confirm" not in create
    assert confirm == sent


@pytest.mark.parametrize(
    ("next_action", "expected"),
    [
        (
            {"type": "redirect_to_url", "redirect_to_url": {"url": "https://issuer.example/"}},
            CustomerAction("redirect", "https://issuer.example/"),
        ),
        ({"type": "use_stripe_sdk", "use_stripe_sdk": {}}, CustomerAction("provider_sdk", "")),
        ({"type": "an_action_of_next_year"}, CustomerAction("provider_sdk", "")),
    ],
)
def test_a_next_action_is_read(
    canned: CannedServer, next_action: dict[str, Any], expected: CustomerAction
) -> None:
    canned.answer = payment_response(
        status="requires_action", next_action=next_action, client_secret="pi_1_secret_2"
    )

    payment = provider.retrieve_payment("pi_1", deadline=soon())

    assert (payment.next_action, payment.client_secret) == (expected, "pi_1_secret_2")


def test_a_client_secret_is_read_only_while_the_customer_needs_it(canned: CannedServer) -> None:
    canned.answer = payment_response(client_secret="pi_1_secret_2")

    payment = provider.retrieve_payment("pi_1", deadline=soon())

    assert (payment.next_action, payment.client_secret) == (None, "")


@pytest.mark.parametrize("code", ["authentication_required", "card_declined"])
def test_an_authentication_that_was_not_handled_has_one_decline_code(
    canned: CannedServer, code: str
) -> None:
    canned.answer = error_response(
        402, type="card_error", code=code, decline_code="authentication_not_handled"
    )

    with pytest.raises(PaymentDeclined) as refused:
        provider.confirm_payment(
            "pi_1", PARAMS, key="key-1", api_version=API_VERSION, deadline=soon()
        )

    assert refused.value.decline_code == "authentication_required"


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_without_access_raises_access_denied(canned: CannedServer, status: int) -> None:
    canned.answer = error_response(status, type="invalid_request_error")

    with pytest.raises(AccessDenied):
        create()


@pytest.mark.parametrize("code", ["charge_already_captured", "charge_expired_for_capture"])
def test_a_payment_that_the_error_does_not_include_is_retrieved(
    canned: CannedServer, code: str
) -> None:
    canned.first_answers = [error_response(400, type="invalid_request_error", code=code)]
    canned.answer = payment_response(status="canceled")

    with pytest.raises(WrongStatus) as unexpected:
        provider.capture_payment(
            "pi_1",
            amount_minor=1200,
            currency="eur",
            key="key-1",
            api_version=API_VERSION,
            deadline=soon(),
        )

    assert unexpected.value.payment.status is ProviderPaymentStatus.CANCELLED
    assert [(request.method, request.path) for request in canned.requests] == [
        ("POST", "/v1/payment_intents/pi_1/capture"),
        ("GET", "/v1/payment_intents/pi_1"),
    ]


SECRET = "pi_1_secret_x"
WITH_SECRETS = {
    "a rejection": error_response(400, type="invalid_request_error", message=SECRET),
    "a decline": error_response(402, type="card_error", code="card_declined", message=SECRET),
    "a server error": error_response(500, type="api_error", message=SECRET),
    "a torn answer": CannedResponse(f'{{"client_secret": "{SECRET}", '),
    "an answer of another shape": CannedResponse(
        f'{{"object": "payment_intent", "id": "{SECRET}"}}'
    ),
}


@pytest.mark.parametrize("answer", WITH_SECRETS.values(), ids=WITH_SECRETS.keys())
def test_errors_and_logs_contain_neither_request_nor_answer(
    canned: CannedServer, answer: CannedResponse, caplog: pytest.LogCaptureFixture
) -> None:
    canned.answer = answer

    with caplog.at_level(logging.DEBUG), pytest.raises(PaymentError) as raised:
        create()

    text = "".join(traceback.format_exception(raised.value)) + caplog.text
    assert SECRET not in text
    assert "pm_card_visa" not in text


def test_an_error_has_the_providers_request_id(canned: CannedServer) -> None:
    canned.answer = error_response(
        400, {"Request-Id": "req_7"}, type="invalid_request_error", code="parameter_unknown"
    )

    with pytest.raises(RequestRejected) as rejected:
        create()

    assert str(rejected.value) == (
        "create_payment: 400 invalid_request_error parameter_unknown, request req_7"
    )


FORKS = """
import os, sys
from datetime import timedelta
from django.conf import settings
settings.configure(STRIPE_API_KEY="sk_test_secret", STRIPE_API_BASE=sys.argv[1],
                   STRIPE_CALLS_PER_SECOND=0, STRIPE_FALLBACK_CALLS_PER_SECOND=1, REDIS_URL="",
                   DATABASES={})
from outbound.deadline import Deadline
from payments.providers.stripe.provider import StripeProvider
ask = lambda: StripeProvider().retrieve_payment("pi_1", deadline=Deadline.after(timedelta(seconds=30)))
ask()
child = os.fork()
ask()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_process_opens_a_connection_of_its_own(canned: CannedServer) -> None:
    subprocess.run([sys.executable, "-c", FORKS, canned.url], check=True)

    assert len(canned.requests) == 3
    assert canned.connections == 2
