"""Authorizing and capturing at the sandbox: one charge, whichever calls and answers are lost."""

import time
from types import SimpleNamespace

import pytest
import urllib3

from outbound import deadline
from payments import provider_calls, services
from payments.errors import (
    AmountMismatch,
    DeadlinePassed,
    NotDoneYet,
    OutcomeUnknown,
    PaymentClosed,
    PaymentDeclined,
)
from payments.models import Payment
from payments.providers.stripe.provider import StripeProvider
from sagas.errors import LeaseLost
from sandbox.stripe_process import SandboxServer
from tests.support.payment_attempts import (
    BUSY_FAULTS,
    PRICE,
    REPEATED_ATTEMPT,
    SHORT_TIME_LIMIT,
    UNANSWERED_FAULTS,
    FakeAttempt,
    authorized,
    captured,
    mark_closing,
    prepared_payment,
    time_limit_for,
)
from tests.support.provider_ledger import NOTHING_MOVED, OrderMoney, intents_for, money_of
from tests.support.stripe_calls import call_options, calls_since, last_call_number

pytestmark = pytest.mark.django_db(transaction=True)

HELD = OrderMoney(charges=1, held_minor=PRICE, kept_minor=0)
TAKEN = OrderMoney(charges=1, held_minor=0, kept_minor=PRICE)


def authorize(payment: Payment, number: int = 1) -> dict[str, object]:
    return services.authorize(payment.order_id, FakeAttempt(payment.order_id, number))


def capture(payment: Payment, number: int = 1) -> dict[str, object]:
    return services.capture(payment.order_id, FakeAttempt(payment.order_id, number))


def statuses(sandbox_stripe: SandboxServer, payment: Payment) -> list[str]:
    """Return the status of each PaymentIntent of the order at the provider."""
    return [intent["status"] for intent in intents_for(sandbox_stripe.ledger(), payment.order_id)]


# -- authorizing ---------------------------------------------------------------------------------


def test_authorizing_holds_the_orders_total(sandbox_stripe: SandboxServer) -> None:
    payment = prepared_payment()
    before = last_call_number(sandbox_stripe)

    output = authorize(payment)

    payment.refresh_from_db()
    [intent] = intents_for(sandbox_stripe.ledger(), payment.order_id)
    assert output == {
        "provider_payment_id": intent["id"],
        "status": "authorized",
        "amount_minor": PRICE,
    }
    assert payment.provider_payment_id == intent["id"]
    assert intent["metadata"] == {
        "installation_id": "tests",
        "order_id": str(payment.order_id),
        "payment_id": str(payment.pk),
    }
    assert money_of(sandbox_stripe, payment.order_id) == HELD
    assert calls_since(sandbox_stripe, before) == [
        ("payment_intents.create", 200),
        ("payment_intents.confirm", 200),
    ]


@pytest.mark.parametrize(
    ("payment_method", "code"),
    [
        ("pm_card_visa_chargeDeclined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_authenticationRequired", "authentication_required"),
    ],
)
def test_a_declined_card_is_declined_at_every_attempt(
    sandbox_stripe: SandboxServer, payment_method: str, code: str
) -> None:
    payment = prepared_payment(payment_method)

    with pytest.raises(PaymentDeclined) as first:
        authorize(payment)
    with pytest.raises(PaymentDeclined) as second:
        authorize(payment, REPEATED_ATTEMPT)

    payment.refresh_from_db()
    assert (first.value.decline_code, second.value.decline_code) == (code, code)
    assert (
        payment.provider_payment_id
        == intents_for(sandbox_stripe.ledger(), payment.order_id)[0]["id"]
    )
    assert money_of(sandbox_stripe, payment.order_id) == NOTHING_MOVED


def test_an_unknown_payment_method_is_declined_without_a_payment_intent(
    sandbox_stripe: SandboxServer,
) -> None:
    payment = prepared_payment("pm_card_unknown")

    with pytest.raises(PaymentDeclined, match="unknown_payment_method"):
        authorize(payment)

    payment.refresh_from_db()
    assert payment.provider_payment_id is None
    assert statuses(sandbox_stripe, payment) == []


def test_authorizing_again_only_reads_the_payment(sandbox_stripe: SandboxServer) -> None:
    payment = prepared_payment()
    first = authorize(payment)
    before = last_call_number(sandbox_stripe)

    second = authorize(payment, REPEATED_ATTEMPT)

    assert second == first
    assert calls_since(sandbox_stripe, before) == [("payment_intents.retrieve", 200)]
    assert money_of(sandbox_stripe, payment.order_id) == HELD


@pytest.mark.parametrize("fault", UNANSWERED_FAULTS)
@pytest.mark.parametrize("operation", ["create", "confirm"])
def test_the_next_attempt_finds_out_what_a_lost_authorization_did(
    sandbox_stripe: SandboxServer, operation: str, fault: str
) -> None:
    payment = prepared_payment()
    rule = sandbox_stripe.add_fault(f"payment_intents.{operation}", fault, times=1)

    with pytest.raises(OutcomeUnknown):
        services.authorize(
            payment.order_id, FakeAttempt(payment.order_id, time_limit=time_limit_for(fault))
        )
    output = authorize(payment, REPEATED_ATTEMPT)

    assert sandbox_stripe.hits(rule) == 1
    assert output["status"] == "authorized"
    assert statuses(sandbox_stripe, payment) == ["requires_capture"]
    assert money_of(sandbox_stripe, payment.order_id) == HELD


@pytest.mark.parametrize("fault", BUSY_FAULTS)
@pytest.mark.parametrize("operation", ["create", "confirm", "retrieve"])
def test_authorizing_is_retried_while_the_provider_is_busy(
    sandbox_stripe: SandboxServer, operation: str, fault: str
) -> None:
    payment = prepared_payment()
    if operation == "retrieve":
        authorize(payment)
    rule = sandbox_stripe.add_fault(f"payment_intents.{operation}", fault, times=1)

    with pytest.raises(NotDoneYet):
        authorize(payment)
    authorize(payment, REPEATED_ATTEMPT)

    assert sandbox_stripe.hits(rule) == 1
    assert statuses(sandbox_stripe, payment) == ["requires_capture"]
    assert money_of(sandbox_stripe, payment.order_id) == HELD


def test_a_create_with_a_replayed_error_is_searched_for(
    sandbox_stripe: SandboxServer,
) -> None:
    payment = prepared_payment()
    sandbox_stripe.add_fault("payment_intents.create", "error_after", times=1)
    before = last_call_number(sandbox_stripe)

    for number in (1, 2, 3):
        with pytest.raises(OutcomeUnknown) as error:
            authorize(payment, number)
        assert error.value.replayed == (number > 1)
    authorize(payment, 4)

    payment.refresh_from_db()
    assert calls_since(sandbox_stripe, before) == [
        ("payment_intents.create", 500),
        ("payment_intents.create", 500),
        ("payment_intents.create", 500),
        ("payment_intents.list", 200),
        ("payment_intents.confirm", 200),
    ]
    assert statuses(sandbox_stripe, payment) == ["requires_capture"]
    assert payment.key_version == 1
    assert money_of(sandbox_stripe, payment.order_id) == HELD


def test_a_create_that_is_not_found_is_repeated_under_the_next_key(
    sandbox_stripe: SandboxServer,
) -> None:
    payment = prepared_payment()
    sandbox_stripe.add_fault("payment_intents.create", "error_after", times=1)
    for number in (1, 2, 3):
        with pytest.raises(OutcomeUnknown):
            authorize(payment, number)
    [lost] = intents_for(sandbox_stripe.ledger(), payment.order_id)
    remove_our_metadata(sandbox_stripe, lost["id"])

    authorize(payment, 4)

    payment.refresh_from_db()
    assert (payment.key_version, payment.replayed_error_count) == (2, 0)
    assert payment.provider_payment_id != lost["id"]
    assert statuses(sandbox_stripe, payment) == ["requires_confirmation", "requires_capture"]
    assert money_of(sandbox_stripe, payment.order_id) == HELD


def test_a_confirmation_with_a_replayed_error_is_repeated_under_the_next_key(
    sandbox_stripe: SandboxServer,
) -> None:
    payment = prepared_payment()
    sandbox_stripe.add_fault("payment_intents.confirm", "error_before", times=1)
    with pytest.raises(OutcomeUnknown):
        authorize(payment)
    Payment.objects.update(replayed_error_count=2)
    before = last_call_number(sandbox_stripe)

    authorize(payment, 4)

    keys = [call["key"] for call in sandbox_stripe.calls(before)]
    payment.refresh_from_db()
    assert keys == [None, f"{payment.pk}-confirm-2"]
    assert (payment.key_version, payment.replayed_error_count) == (2, 0)
    assert money_of(sandbox_stripe, payment.order_id) == HELD


def test_a_confirmation_that_took_effect_despite_an_error_is_not_repeated(
    sandbox_stripe: SandboxServer,
) -> None:
    payment = prepared_payment()
    sandbox_stripe.add_fault("payment_intents.confirm", "error_after", times=1)
    with pytest.raises(OutcomeUnknown):
        authorize(payment)
    before = last_call_number(sandbox_stripe)

    authorize(payment, REPEATED_ATTEMPT)

    assert calls_since(sandbox_stripe, before) == [("payment_intents.retrieve", 200)]
    assert money_of(sandbox_stripe, payment.order_id) == HELD


def test_authorizing_a_closed_payment_calls_no_provider(sandbox_stripe: SandboxServer) -> None:
    payment = mark_closing(prepared_payment())
    before = last_call_number(sandbox_stripe)

    with pytest.raises(PaymentClosed):
        authorize(payment)

    assert calls_since(sandbox_stripe, before) == []


def test_a_payment_closed_during_its_create_is_never_confirmed(
    sandbox_stripe: SandboxServer,
) -> None:
    payment = prepared_payment()

    with pytest.raises(PaymentClosed):
        services.authorize(
            payment.order_id,
            FakeAttempt(payment.order_id, meanwhile=lambda: mark_closing(payment)),
        )

    payment.refresh_from_db()
    assert payment.provider_payment_id is None
    assert statuses(sandbox_stripe, payment) == ["canceled"]
    assert money_of(sandbox_stripe, payment.order_id) == NOTHING_MOVED


def test_a_payment_closed_during_its_create_is_cancelled_after_the_attempts_time_is_spent(
    sandbox_stripe: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = prepared_payment()

    def spend_the_time() -> None:
        mark_closing(payment)
        late = SimpleNamespace(monotonic=lambda: time.monotonic() + 3600)
        monkeypatch.setattr(deadline, "time", late)

    with pytest.raises(PaymentClosed):
        services.authorize(
            payment.order_id, FakeAttempt(payment.order_id, meanwhile=spend_the_time)
        )

    assert statuses(sandbox_stripe, payment) == ["canceled"]


def test_a_late_worker_cancels_the_payment_that_it_created_after_closing(
    sandbox_stripe: SandboxServer,
) -> None:
    payment = prepared_payment()

    def sleep_too_long() -> None:
        mark_closing(payment)
        raise LeaseLost(payment.order_id, 1)

    with pytest.raises(PaymentClosed):
        services.authorize(
            payment.order_id, FakeAttempt(payment.order_id, meanwhile=sleep_too_long)
        )

    payment.refresh_from_db()
    assert payment.provider_payment_id is None
    assert statuses(sandbox_stripe, payment) == ["canceled"]


def test_a_late_worker_leaves_a_payment_alone_that_another_worker_uses(
    sandbox_stripe: SandboxServer,
) -> None:
    payment = prepared_payment()

    def be_overtaken() -> None:
        authorize(payment, REPEATED_ATTEMPT)
        raise LeaseLost(payment.order_id, 1)

    with pytest.raises(LeaseLost):
        services.authorize(payment.order_id, FakeAttempt(payment.order_id, meanwhile=be_overtaken))

    assert statuses(sandbox_stripe, payment) == ["requires_capture"]
    assert money_of(sandbox_stripe, payment.order_id) == HELD


@pytest.mark.parametrize(
    "changes", [{"amount_minor": PRICE + 1}, {"amount_minor": PRICE - 1}, {"currency": "usd"}]
)
def test_authorizing_a_different_amount_is_an_error(
    sandbox_stripe: SandboxServer, changes: dict[str, object]
) -> None:
    payment = prepared_payment()
    Payment.objects.update(**changes)

    with pytest.raises(AmountMismatch, match=f"{PRICE} held and 0 captured, eur"):
        authorize(payment)


def test_no_call_is_made_after_the_deadline(sandbox_stripe: SandboxServer) -> None:
    payment = prepared_payment()
    before = last_call_number(sandbox_stripe)

    with pytest.raises(DeadlinePassed):
        services.authorize(
            payment.order_id, FakeAttempt(payment.order_id, time_limit=-SHORT_TIME_LIMIT)
        )

    assert calls_since(sandbox_stripe, before) == []


# -- capturing -----------------------------------------------------------------------------------


def test_a_capture_takes_the_held_amount(sandbox_stripe: SandboxServer) -> None:
    payment = authorized()
    before = last_call_number(sandbox_stripe)

    output = capture(payment)

    assert output == {"provider_payment_id": payment.provider_payment_id, "captured_minor": PRICE}
    assert calls_since(sandbox_stripe, before) == [("payment_intents.capture", 200)]
    assert money_of(sandbox_stripe, payment.order_id) == TAKEN


@pytest.mark.parametrize("fault", [*UNANSWERED_FAULTS, "error_after"])
def test_the_next_attempt_finds_out_what_a_lost_capture_did(
    sandbox_stripe: SandboxServer, fault: str
) -> None:
    payment = authorized()
    rule = sandbox_stripe.add_fault("payment_intents.capture", fault, times=1)

    with pytest.raises(OutcomeUnknown):
        services.capture(
            payment.order_id, FakeAttempt(payment.order_id, time_limit=time_limit_for(fault))
        )
    output = capture(payment, REPEATED_ATTEMPT)

    assert sandbox_stripe.hits(rule) == 1
    assert output["captured_minor"] == PRICE
    assert money_of(sandbox_stripe, payment.order_id) == TAKEN


@pytest.mark.parametrize("fault", BUSY_FAULTS)
def test_a_capture_is_retried_while_the_provider_is_busy(
    sandbox_stripe: SandboxServer, fault: str
) -> None:
    payment = authorized()
    sandbox_stripe.add_fault("payment_intents.capture", fault, times=1)

    with pytest.raises(NotDoneYet):
        capture(payment)
    capture(payment, REPEATED_ATTEMPT)

    assert money_of(sandbox_stripe, payment.order_id) == TAKEN


def test_a_capture_with_a_replayed_error_is_repeated_under_the_next_key(
    sandbox_stripe: SandboxServer,
) -> None:
    payment = authorized()
    Payment.objects.update(replayed_error_count=2)
    before = last_call_number(sandbox_stripe)

    capture(payment, 4)

    keys = [call["key"] for call in sandbox_stripe.calls(before)]
    assert keys == [None, f"{payment.pk}-capture-2"]
    assert money_of(sandbox_stripe, payment.order_id) == TAKEN


def test_capturing_again_takes_nothing_more(sandbox_stripe: SandboxServer) -> None:
    payment = captured()

    first, second = capture(payment), capture(payment, REPEATED_ATTEMPT)

    assert (
        first
        == second
        == {"provider_payment_id": payment.provider_payment_id, "captured_minor": PRICE}
    )
    assert money_of(sandbox_stripe, payment.order_id) == TAKEN


@pytest.mark.parametrize("number", [1, REPEATED_ATTEMPT])
def test_an_expired_authorization_cannot_be_captured(
    sandbox_stripe: SandboxServer, number: int
) -> None:
    payment = authorized()
    sandbox_stripe.advance(8 * 24 * 3600)

    with pytest.raises(PaymentDeclined, match="authorization_expired"):
        capture(payment, number)

    assert money_of(sandbox_stripe, payment.order_id) == OrderMoney(
        charges=1, held_minor=0, kept_minor=0
    )


def test_a_payment_without_an_authorization_cannot_be_captured(
    sandbox_stripe: SandboxServer,
) -> None:
    payment = prepared_payment()
    before = last_call_number(sandbox_stripe)

    with pytest.raises(PaymentDeclined, match="never_authorized"):
        capture(payment)

    assert calls_since(sandbox_stripe, before) == []


def test_capturing_a_different_amount_is_an_error(sandbox_stripe: SandboxServer) -> None:
    payment = authorized()
    Payment.objects.update(currency="usd")

    with pytest.raises(AmountMismatch, match=f"0 held and {PRICE} captured, eur"):
        capture(payment)


def test_a_capture_from_the_dashboard_counts_as_captured(
    sandbox_stripe: SandboxServer,
) -> None:
    payment = authorized()
    assert payment.provider_payment_id is not None
    StripeProvider().capture_payment(
        payment.provider_payment_id, amount_minor=PRICE, currency="eur", **call_options()
    )

    assert authorize(payment, REPEATED_ATTEMPT)["status"] == "captured"
    assert capture(payment)["captured_minor"] == PRICE
    assert money_of(sandbox_stripe, payment.order_id) == TAKEN


def remove_our_metadata(sandbox_stripe: SandboxServer, intent_id: str) -> None:
    """Remove our metadata from a PaymentIntent, so that the search does not find it."""
    response = urllib3.request(
        "POST",
        f"{sandbox_stripe.url}/v1/payment_intents/{intent_id}",
        headers={"Authorization": "Bearer sk_test_sandbox"},
        body="metadata[payment_id]=",
    )
    assert response.status == 200


def test_a_worker_with_an_older_key_does_not_set_the_key_back(
    sandbox_stripe: SandboxServer,
) -> None:
    payment = prepared_payment()
    Payment.objects.update(replayed_error_count=2)
    asleep = Payment.objects.get()
    Payment.objects.update(key_version=5, replayed_error_count=0)

    provider_calls.use_next_key_after_replayed_errors(asleep)

    payment.refresh_from_db()
    assert (payment.key_version, payment.replayed_error_count) == (5, 0)
    assert asleep.idempotency_key("confirm") == f"{payment.pk}-confirm-5"
