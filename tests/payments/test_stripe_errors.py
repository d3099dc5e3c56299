"""The errors of the Stripe provider for each way in which Stripe can fail."""

import threading
import time
from collections.abc import Callable
from uuid import uuid4

import pytest
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
from payments.provider_types import ProviderPayment, ProviderPaymentStatus
from payments.providers.stripe.provider import API_VERSION
from sandbox.stripe_process import SandboxServer
from tests.support.stripe_calls import (
    authorized,
    call_options,
    calls_since,
    captured,
    created,
    deadline_in,
    last_call_number,
    params,
    provider,
    refunded,
)


@pytest.mark.parametrize(
    ("payment_method", "decline_code"),
    [
        ("pm_card_visa_chargeDeclined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_visa_chargeDeclinedExpiredCard", "expired_card"),
    ],
)
def test_a_declined_card_raises_its_decline_code(
    sandbox_stripe: SandboxServer, payment_method: str, decline_code: str
) -> None:
    intent = created(payment_method)

    with pytest.raises(PaymentDeclined) as refused:
        provider.confirm_payment(intent.id, params(), **call_options())

    assert refused.value.decline_code == decline_code
    assert refused.value.payment == provider.retrieve_payment(intent.id, deadline=deadline_in())
    assert refused.value.payment.status is ProviderPaymentStatus.DECLINED
    assert refused.value.payment.decline_code == decline_code
    assert refused.value.payment.held_minor == 0


def test_a_payment_stored_by_an_older_version_is_declined_for_its_authentication(
    sandbox_stripe: SandboxServer,
) -> None:
    intent = created("pm_card_authenticationRequired")
    older = {name: value for name, value in params().items() if name != "confirm"}

    with pytest.raises(PaymentDeclined) as refused:
        provider.confirm_payment(intent.id, older, **call_options())

    assert refused.value.decline_code == "authentication_required"
    assert refused.value.payment is not None
    assert refused.value.payment.status is ProviderPaymentStatus.DECLINED


def test_an_unknown_payment_method_is_declined(sandbox_stripe: SandboxServer) -> None:
    with pytest.raises(PaymentDeclined) as refused:
        created("pm_never_seen")

    assert refused.value.decline_code == "unknown_payment_method"
    assert refused.value.payment is None


Call = Callable[[ProviderPayment], object]

WRONG_STATUSES: list[tuple[str, Callable[[], ProviderPayment], Call, ProviderPaymentStatus]] = [
    (
        "confirm a cancelled one",
        lambda: provider.cancel_payment(created().id, **call_options()),
        lambda intent: provider.confirm_payment(intent.id, params(), **call_options()),
        ProviderPaymentStatus.CANCELLED,
    ),
    (
        "capture an unconfirmed one",
        created,
        lambda intent: provider.capture_payment(
            intent.id, amount_minor=1200, currency="eur", **call_options()
        ),
        ProviderPaymentStatus.CREATED,
    ),
    (
        "capture twice",
        captured,
        lambda intent: provider.capture_payment(
            intent.id, amount_minor=1200, currency="eur", **call_options()
        ),
        ProviderPaymentStatus.CAPTURED,
    ),
    (
        "cancel a captured one",
        captured,
        lambda intent: provider.cancel_payment(intent.id, **call_options()),
        ProviderPaymentStatus.CAPTURED,
    ),
]


@pytest.mark.parametrize(
    ("prepare", "call", "status"),
    [row[1:] for row in WRONG_STATUSES],
    ids=[row[0] for row in WRONG_STATUSES],
)
def test_a_wrong_status_raises_wrong_status_with_the_payment(
    sandbox_stripe: SandboxServer,
    prepare: Callable[[], ProviderPayment],
    call: Call,
    status: ProviderPaymentStatus,
) -> None:
    intent = prepare()
    seen = last_call_number(sandbox_stripe)

    with pytest.raises(WrongStatus) as unexpected:
        call(intent)

    assert unexpected.value.payment.status is status
    assert [code for _, code in calls_since(sandbox_stripe, seen)] == [
        400
    ]  # the error contains the payment, so no second call was needed
    assert unexpected.value.payment == provider.retrieve_payment(intent.id, deadline=deadline_in())


def test_a_second_refund_is_rejected(sandbox_stripe: SandboxServer) -> None:
    intent = captured()
    refunded(intent)

    with pytest.raises(RefundRejected) as refused:
        refunded(intent)

    assert refused.value.code == "charge_already_refunded"
    assert len(provider.list_refunds(intent.id, deadline=deadline_in())) == 1


FAULTS: list[tuple[str, type[PaymentError], int | None, ProviderPaymentStatus]] = [
    ("rate_limit", NotDoneYet, 429, ProviderPaymentStatus.CREATED),
    ("lock_timeout", NotDoneYet, 429, ProviderPaymentStatus.CREATED),
    ("conflict", NotDoneYet, 409, ProviderPaymentStatus.CREATED),
    ("error_before", OutcomeUnknown, 500, ProviderPaymentStatus.CREATED),
    ("error_after", OutcomeUnknown, 500, ProviderPaymentStatus.AUTHORIZED),
    ("truncated_body", OutcomeUnknown, 200, ProviderPaymentStatus.AUTHORIZED),
    ("reset_before", OutcomeUnknown, None, ProviderPaymentStatus.CREATED),
    ("reset_after", OutcomeUnknown, None, ProviderPaymentStatus.AUTHORIZED),
]


@pytest.mark.parametrize(("fault", "expected", "status", "left_as"), FAULTS)
def test_a_fault_raises_its_error_and_is_not_repeated(
    sandbox_stripe: SandboxServer,
    fault: str,
    expected: type[PaymentError],
    status: int | None,
    left_as: ProviderPaymentStatus,
) -> None:
    intent = created()
    rule = sandbox_stripe.add_fault("payment_intents.confirm", fault)
    seen = last_call_number(sandbox_stripe)

    with pytest.raises(PaymentError) as raised:
        provider.confirm_payment(intent.id, params(), **call_options())

    assert type(raised.value) is expected
    assert sandbox_stripe.hits(rule) == 1
    assert calls_since(sandbox_stripe, seen) == [("payment_intents.confirm", status)]
    assert provider.retrieve_payment(intent.id, deadline=deadline_in()).status is left_as


@pytest.mark.parametrize("fault", ["timeout_before", "timeout_after"])
def test_silence_ends_with_the_deadline(sandbox_stripe: SandboxServer, fault: str) -> None:
    intent = created()
    sandbox_stripe.add_fault("payment_intents.confirm", fault)
    deadline = deadline_in(1.5)

    with pytest.raises(OutcomeUnknown) as unknown:
        provider.confirm_payment(
            intent.id, params(), key=uuid4().hex, api_version=API_VERSION, deadline=deadline
        )

    assert str(unknown.value) == "confirm_payment: ReadTimeoutError"
    assert time.monotonic() >= deadline.monotonic_seconds


def test_a_replayed_server_error_is_marked_as_replayed(sandbox_stripe: SandboxServer) -> None:
    intent, key = created(), uuid4().hex
    rule = sandbox_stripe.add_fault("payment_intents.confirm", "error_after", times=1)
    with pytest.raises(OutcomeUnknown) as first:
        provider.confirm_payment(intent.id, params(), **call_options(key))

    with pytest.raises(OutcomeUnknown) as second:
        provider.confirm_payment(intent.id, params(), **call_options(key))

    assert (first.value.replayed, second.value.replayed) == (False, True)
    assert sandbox_stripe.hits(rule) == 1


def test_the_same_key_returns_the_same_payment(sandbox_stripe: SandboxServer) -> None:
    key = uuid4().hex

    first = provider.create_payment(params(), **call_options(key))
    second = provider.create_payment(params(), **call_options(key))

    assert second == first


def test_a_key_in_use_raises_provider_busy(sandbox_stripe: SandboxServer) -> None:
    intent, key = created(), uuid4().hex
    rule = sandbox_stripe.add_fault("payment_intents.confirm", "hold", times=1)
    first = threading.Thread(
        target=lambda: provider.confirm_payment(intent.id, params(), **call_options(key))
    )
    first.start()
    gives_up_at = time.monotonic() + 60
    while not sandbox_stripe.held(rule):
        assert time.monotonic() < gives_up_at

    with pytest.raises(NotDoneYet):
        provider.confirm_payment(intent.id, params(), **call_options(key))

    sandbox_stripe.release(rule)
    first.join()
    assert (
        provider.retrieve_payment(intent.id, deadline=deadline_in()).status
        is ProviderPaymentStatus.AUTHORIZED
    )


def test_other_parameters_under_a_key_are_rejected(sandbox_stripe: SandboxServer) -> None:
    key = uuid4().hex
    provider.create_payment(params(amount_minor=1200), **call_options(key))

    with pytest.raises(RequestRejected, match="idempotency_error"):
        provider.create_payment(params(amount_minor=1300), **call_options(key))


@pytest.mark.parametrize(
    "call",
    [
        lambda: provider.create_payment({**params(), "colour": "blue"}, **call_options()),
        lambda: provider.capture_payment(
            authorized().id, amount_minor=1201, currency="eur", **call_options()
        ),
    ],
    ids=["unknown parameter", "more than is held"],
)
def test_an_invalid_request_is_rejected(
    sandbox_stripe: SandboxServer, call: Callable[[], object]
) -> None:
    with pytest.raises(RequestRejected):
        call()


def test_a_payment_unknown_to_stripe_raises_unknown_payment(sandbox_stripe: SandboxServer) -> None:
    with pytest.raises(UnknownPayment):
        provider.retrieve_payment("pi_never_seen", deadline=deadline_in())


@pytest.mark.parametrize(
    ("amount_minor", "detail"), [(49, "amount_too_small"), (100_000_000, "amount_too_large")]
)
def test_an_amount_out_of_bounds_is_rejected(
    sandbox_stripe: SandboxServer, amount_minor: int, detail: str
) -> None:
    with pytest.raises(RequestRejected) as rejected:
        provider.create_payment(params(amount_minor=amount_minor), **call_options())

    assert rejected.value.detail == detail


def test_an_invalid_api_key_raises_access_denied(
    sandbox_stripe: SandboxServer, settings: Settings
) -> None:
    settings.STRIPE_API_KEY = ""

    with pytest.raises(AccessDenied):
        created()


def test_an_unreachable_provider_leaves_the_outcome_unknown(
    sandbox_stripe: SandboxServer, settings: Settings
) -> None:
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"

    with pytest.raises(OutcomeUnknown, match="NewConnectionError"):
        created()


def test_a_restarted_provider_is_reached_again(sandbox_stripe: SandboxServer) -> None:
    intent = authorized()
    sandbox_stripe.kill()
    with pytest.raises(OutcomeUnknown):
        provider.retrieve_payment(intent.id, deadline=deadline_in())

    sandbox_stripe.start()

    assert provider.retrieve_payment(intent.id, deadline=deadline_in()) == intent
