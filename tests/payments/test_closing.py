"""Closing a payment: from every status, the customer gets all of the money back, once."""

from collections.abc import Callable

import pytest
from django.db import IntegrityError, transaction

from payments import services
from payments.errors import (
    NotDoneYet,
    OutcomeUnknown,
    PaymentDeclined,
    RefundFailed,
    RefundPending,
    RefundRejected,
)
from payments.models import Payment, Refund
from payments.providers.stripe.provider import StripeProvider
from sagas.identifiers import new_id
from sandbox.stripe_process import SandboxServer
from tests.support.payment_attempts import (
    BUSY_FAULTS,
    PRICE,
    REPEATED_ATTEMPT,
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

NOTHING_KEPT = OrderMoney(charges=1, held_minor=0, kept_minor=0)
"""The card was charged or held once, and none of the money is left with us."""

UNTIL_REFUNDS_SETTLE = 601


def close(payment: Payment, number: int = 1) -> list[dict[str, object]]:
    """Close the payments of an order, and return how each ended."""
    ended: list[dict[str, object]] = services.close(
        payment.order_id, FakeAttempt(payment.order_id, number)
    )["payments"]
    return ended


def ended_as(payment: Payment, status: str, decline_code: str = "") -> list[dict[str, object]]:
    return [{"payment_id": str(payment.pk), "status": status, "decline_code": decline_code}]


def status_of(sandbox_stripe: SandboxServer, payment: Payment) -> str:
    """Return the status of the payment's only PaymentIntent at the provider."""
    [intent] = intents_for(sandbox_stripe.ledger(), payment.order_id)
    return str(intent["status"])


def refunds_of(sandbox_stripe: SandboxServer, payment: Payment) -> list[tuple[str, int]]:
    """Return the status and the amount of each refund that the provider made."""
    return [
        (refund["status"], refund["amount"])
        for refund in sandbox_stripe.ledger()["refunds"]
        if refund["payment_intent"] == payment.provider_payment_id
    ]


def test_closing_an_order_without_payments_calls_no_provider(sandbox_stripe: SandboxServer) -> None:
    before = last_call_number(sandbox_stripe)
    order_id = new_id()

    assert services.close(order_id, FakeAttempt(order_id)) == {"payments": []}
    assert calls_since(sandbox_stripe, before) == []


def test_closing_a_payment_without_a_provider_id_calls_no_provider(
    sandbox_stripe: SandboxServer,
) -> None:
    payment = mark_closing(prepared_payment())
    before = last_call_number(sandbox_stripe)

    assert close(payment) == ended_as(payment, "voided")
    assert calls_since(sandbox_stripe, before) == []
    assert money_of(sandbox_stripe, payment.order_id) == NOTHING_MOVED


def test_closing_cancels_a_declined_payment(
    sandbox_stripe: SandboxServer,
) -> None:
    payment = prepared_payment("pm_card_visa_chargeDeclinedInsufficientFunds")
    with pytest.raises(PaymentDeclined):
        services.authorize(payment.order_id, FakeAttempt(payment.order_id))
    mark_closing(payment)

    assert close(payment) == ended_as(payment, "voided", "insufficient_funds")
    assert status_of(sandbox_stripe, payment) == "canceled"
    assert money_of(sandbox_stripe, payment.order_id) == NOTHING_MOVED


def test_closing_releases_held_money(sandbox_stripe: SandboxServer) -> None:
    payment = mark_closing(authorized())
    before = last_call_number(sandbox_stripe)

    assert close(payment) == ended_as(payment, "voided")
    assert calls_since(sandbox_stripe, before) == [("payment_intents.cancel", 200)]
    assert status_of(sandbox_stripe, payment) == "canceled"
    assert money_of(sandbox_stripe, payment.order_id) == NOTHING_KEPT


def test_closing_refunds_captured_money(sandbox_stripe: SandboxServer) -> None:
    payment = mark_closing(captured())

    assert close(payment) == ended_as(payment, "refunded")
    assert refunds_of(sandbox_stripe, payment) == [("succeeded", PRICE)]
    assert money_of(sandbox_stripe, payment.order_id) == NOTHING_KEPT
    ours, theirs = Refund.objects.get(), sandbox_stripe.ledger()["refunds"][-1]
    assert (ours.payment_id, ours.amount_minor, ours.currency) == (payment.pk, PRICE, "eur")
    assert (ours.status, ours.provider_refund_id) == ("succeeded", theirs["id"])
    assert theirs["metadata"] == {
        "refund_id": str(ours.pk),
        "installation_id": "tests",
        "order_id": str(payment.order_id),
        "payment_id": str(payment.pk),
    }


def test_closing_accepts_an_expired_authorization(sandbox_stripe: SandboxServer) -> None:
    payment = mark_closing(authorized())
    sandbox_stripe.advance(8 * 24 * 3600)

    assert close(payment) == ended_as(payment, "voided")
    assert money_of(sandbox_stripe, payment.order_id) == NOTHING_KEPT


@pytest.mark.parametrize(("make", "refunds"), [(authorized, 0), (captured, 1)])
def test_closing_again_moves_no_money(
    sandbox_stripe: SandboxServer, make: Callable[[], Payment], refunds: int
) -> None:
    payment = mark_closing(make())
    first = close(payment)

    again = close(payment, REPEATED_ATTEMPT)

    assert again == first
    assert len(refunds_of(sandbox_stripe, payment)) == refunds
    assert money_of(sandbox_stripe, payment.order_id) == NOTHING_KEPT


def test_closing_a_finished_payment_calls_no_provider(
    sandbox_stripe: SandboxServer,
) -> None:
    payment = mark_closing(captured())
    close(payment)
    Payment.objects.update(status="refunded")
    before = last_call_number(sandbox_stripe)

    assert close(payment) == [{"payment_id": str(payment.pk), "status": "refunded"}]
    assert calls_since(sandbox_stripe, before) == []


def test_every_payment_of_an_order_is_closed(sandbox_stripe: SandboxServer) -> None:
    first = mark_closing(authorized())
    second = captured()
    Payment.objects.filter(pk=second.pk).update(order_id=first.order_id)
    mark_closing(first)

    ended = close(first)

    assert sorted(ended, key=lambda end: str(end["status"])) == [
        *ended_as(second, "refunded"),
        *ended_as(first, "voided"),
    ]
    assert money_of(sandbox_stripe, first.order_id) == NOTHING_KEPT
    assert money_of(sandbox_stripe, second.order_id) == NOTHING_KEPT


@pytest.mark.parametrize("fault", UNANSWERED_FAULTS)
def test_the_next_attempt_finds_out_what_a_lost_cancel_did(
    sandbox_stripe: SandboxServer, fault: str
) -> None:
    payment = mark_closing(authorized())
    rule = sandbox_stripe.add_fault("payment_intents.cancel", fault, times=1)

    with pytest.raises(OutcomeUnknown):
        services.close(
            payment.order_id, FakeAttempt(payment.order_id, time_limit=time_limit_for(fault))
        )

    assert close(payment, REPEATED_ATTEMPT) == ended_as(payment, "voided")
    assert sandbox_stripe.hits(rule) == 1
    assert status_of(sandbox_stripe, payment) == "canceled"
    assert money_of(sandbox_stripe, payment.order_id) == NOTHING_KEPT


@pytest.mark.parametrize("fault", [*UNANSWERED_FAULTS, "error_after"])
def test_the_next_attempt_finds_out_what_a_lost_refund_did(
    sandbox_stripe: SandboxServer, fault: str
) -> None:
    payment = mark_closing(captured())
    rule = sandbox_stripe.add_fault("refunds.create", fault, times=1)

    with pytest.raises(OutcomeUnknown):
        services.close(
            payment.order_id, FakeAttempt(payment.order_id, time_limit=time_limit_for(fault))
        )

    assert close(payment, REPEATED_ATTEMPT) == ended_as(payment, "refunded")
    assert sandbox_stripe.hits(rule) == 1
    assert refunds_of(sandbox_stripe, payment) == [("succeeded", PRICE)]
    assert Refund.objects.get().status == "succeeded"
    assert money_of(sandbox_stripe, payment.order_id) == NOTHING_KEPT


@pytest.mark.parametrize("fault", BUSY_FAULTS)
@pytest.mark.parametrize("operation", ["payment_intents.cancel", "refunds.create", "refunds.list"])
def test_closing_is_retried_while_the_provider_is_busy(
    sandbox_stripe: SandboxServer, operation: str, fault: str
) -> None:
    payment = mark_closing(captured())
    sandbox_stripe.add_fault(operation, fault, times=1)

    with pytest.raises(NotDoneYet):
        close(payment)

    assert close(payment, REPEATED_ATTEMPT) == ended_as(payment, "refunded")
    assert refunds_of(sandbox_stripe, payment) == [("succeeded", PRICE)]
    assert money_of(sandbox_stripe, payment.order_id) == NOTHING_KEPT


def test_a_cancel_with_a_replayed_error_is_repeated_under_the_next_key(
    sandbox_stripe: SandboxServer,
) -> None:
    payment = mark_closing(authorized())
    sandbox_stripe.add_fault("payment_intents.cancel", "error_after", times=1)
    before = last_call_number(sandbox_stripe)

    for number in (1, 2, 3):
        with pytest.raises(OutcomeUnknown) as error:
            close(payment, number)
        assert error.value.replayed == (number > 1)

    assert close(payment, 4) == ended_as(payment, "voided")
    keys = [call["key"] for call in sandbox_stripe.calls(before)]
    assert keys == [f"{payment.pk}-cancel-{generation}" for generation in (1, 1, 1, 2)]
    assert money_of(sandbox_stripe, payment.order_id) == NOTHING_KEPT


def test_closing_waits_for_a_pending_refund(sandbox_stripe: SandboxServer) -> None:
    payment = mark_closing(captured("pm_card_pendingRefund"))

    for number in (1, 2):
        with pytest.raises(RefundPending):
            close(payment, number)
        assert Refund.objects.get().status == "pending"
    sandbox_stripe.advance(UNTIL_REFUNDS_SETTLE)

    assert close(payment, 3) == ended_as(payment, "refunded")
    assert Refund.objects.get().status == "succeeded"
    assert refunds_of(sandbox_stripe, payment) == [("succeeded", PRICE)]


def test_a_failed_refund_is_left_to_staff(sandbox_stripe: SandboxServer) -> None:
    payment = mark_closing(captured("pm_card_refundFail"))
    sandbox_stripe.add_fault("refunds.create", "reset_after", times=1)
    with pytest.raises(OutcomeUnknown):
        close(payment)
    sandbox_stripe.advance(UNTIL_REFUNDS_SETTLE)

    for number in (2, 3):
        with pytest.raises(RefundFailed, match="expired_or_canceled_card"):
            close(payment, number)

    assert Refund.objects.get().status == "failed"
    assert refunds_of(sandbox_stripe, payment) == [("failed", PRICE)]


def test_a_refund_from_the_dashboard_is_not_repeated(
    sandbox_stripe: SandboxServer,
) -> None:
    payment = mark_closing(captured())
    refund_from_the_dashboard(payment, PRICE)

    assert close(payment) == ended_as(payment, "refunded")
    assert refunds_of(sandbox_stripe, payment) == [("succeeded", PRICE)]
    assert money_of(sandbox_stripe, payment.order_id) == NOTHING_KEPT


def test_a_pending_refund_from_the_dashboard_is_not_repeated(
    sandbox_stripe: SandboxServer,
) -> None:
    payment = mark_closing(captured("pm_card_pendingRefund"))
    refund_from_the_dashboard(payment, PRICE)

    with pytest.raises(RefundRejected):
        close(payment)
    sandbox_stripe.advance(UNTIL_REFUNDS_SETTLE)

    assert close(payment, REPEATED_ATTEMPT) == ended_as(payment, "refunded")
    assert refunds_of(sandbox_stripe, payment) == [("succeeded", PRICE)]


def test_after_a_partial_refund_from_the_dashboard_only_the_rest_is_refunded(
    sandbox_stripe: SandboxServer,
) -> None:
    payment = mark_closing(captured())
    refund_from_the_dashboard(payment, 300)

    assert close(payment) == ended_as(payment, "refunded")

    assert sorted(refunds_of(sandbox_stripe, payment)) == [
        ("succeeded", 300),
        ("succeeded", PRICE - 300),
    ]
    assert money_of(sandbox_stripe, payment.order_id) == NOTHING_KEPT
    assert Refund.objects.get().amount_minor == PRICE - 300


def test_a_refund_from_the_dashboard_settles_a_failed_refund(
    sandbox_stripe: SandboxServer,
) -> None:
    payment = mark_closing(captured("pm_card_refundFail"))
    sandbox_stripe.add_fault("refunds.create", "reset_after", times=1)
    with pytest.raises(OutcomeUnknown):
        close(payment)
    sandbox_stripe.advance(UNTIL_REFUNDS_SETTLE)
    with pytest.raises(RefundFailed):
        close(payment, 2)

    refund_from_the_dashboard(payment, PRICE)

    assert close(payment, 3) == ended_as(payment, "refunded")
    assert sorted(refunds_of(sandbox_stripe, payment)) == [("failed", PRICE), ("succeeded", PRICE)]
    assert Refund.objects.get().status == "succeeded"


def test_a_refund_from_the_dashboard_that_returns_too_little_does_not_settle_a_failed_one(
    sandbox_stripe: SandboxServer,
) -> None:
    payment = mark_closing(captured("pm_card_refundFail"))
    sandbox_stripe.add_fault("refunds.create", "reset_after", times=1)
    with pytest.raises(OutcomeUnknown):
        close(payment)
    sandbox_stripe.advance(UNTIL_REFUNDS_SETTLE)
    with pytest.raises(RefundFailed):
        close(payment, 2)

    refund_from_the_dashboard(payment, PRICE - 1)

    with pytest.raises(RefundFailed):
        close(payment, 3)
    assert Refund.objects.get().status == "failed"


def test_only_the_captured_amount_is_refunded(sandbox_stripe: SandboxServer) -> None:
    payment = authorized()
    assert payment.provider_payment_id is not None
    StripeProvider().capture_payment(
        payment.provider_payment_id, amount_minor=PRICE - 200, currency="eur", **call_options()
    )
    mark_closing(payment)

    assert close(payment) == ended_as(payment, "refunded")
    assert refunds_of(sandbox_stripe, payment) == [("succeeded", PRICE - 200)]
    assert money_of(sandbox_stripe, payment.order_id) == NOTHING_KEPT


def test_a_refund_is_stored_before_the_provider_is_called(
    sandbox_stripe: SandboxServer,
) -> None:
    payment = mark_closing(captured())
    sandbox_stripe.add_fault("refunds.create", "error_before", times=1)

    with pytest.raises(OutcomeUnknown):
        close(payment)

    refund = Refund.objects.get()
    assert (refund.amount_minor, refund.status, refund.provider_refund_id) == (PRICE, "", "")
    assert refunds_of(sandbox_stripe, payment) == []


def test_the_database_allows_one_refund_per_payment(sandbox_stripe: SandboxServer) -> None:
    payment = mark_closing(captured())
    close(payment)

    with (
        pytest.raises(IntegrityError, match="payments_one_refund_per_payment"),
        transaction.atomic(),
    ):
        Refund.objects.create(payment=payment, amount_minor=1, currency="eur")


def refund_from_the_dashboard(payment: Payment, amount_minor: int) -> None:
    """Refund as staff do in the provider's dashboard."""
    assert payment.provider_payment_id is not None
    StripeProvider().create_refund(
        payment.provider_payment_id,
        amount_minor=amount_minor,
        currency="eur",
        metadata={},
        **call_options(),
    )
