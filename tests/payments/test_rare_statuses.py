"""Statuses and amounts that a provider reports without our doing, such as after a change by staff."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pytest_django import Settings

from payments import services
from payments.errors import (
    AmountMismatch,
    AuthenticationRequired,
    NotDoneYet,
    PaymentClosed,
    PaymentDeclined,
    PaymentError,
    RefundFailed,
    RefundPending,
)
from payments.models import Payment, Refund
from payments.provider_types import ProviderPaymentStatus, RefundStatus
from tests.support.in_memory_provider.provider import (
    AUTHENTICATING_CARD,
    CARD,
    PROVIDER,
    SLOW_REFUND_CARD,
)
from tests.support.payment_attempts import (
    PRICE,
    REPEATED_ATTEMPT,
    FakeAttempt,
    authorized,
    captured,
    mark_closing,
    prepared_payment,
)

pytestmark = pytest.mark.django_db(transaction=True)

LESS = PRICE - 1


@pytest.fixture(autouse=True)
def only_the_provider_in_memory(settings: Settings) -> None:
    settings.PAYMENT_PROVIDERS = ["tests.support.in_memory_provider"]
    PROVIDER.start_over()


def change_at_provider(payment: Payment, **changes: Any) -> None:
    found = PROVIDER.state.payments[str(payment.provider_payment_id)]
    found.state = replace(found.state, **changes)


def again(operation: Callable[[Any, Any], Any], payment: Payment) -> Any:
    """Make the second attempt at an operation, which first reads the payment."""
    return operation(payment.order_id, FakeAttempt(payment.order_id, REPEATED_ATTEMPT))


@pytest.mark.parametrize(
    ("status", "error", "text"),
    [
        (ProviderPaymentStatus.REQUIRES_ACTION, PaymentDeclined, "authentication_required"),
        (ProviderPaymentStatus.CANCELLED, PaymentDeclined, "declined: cancelled"),
        (ProviderPaymentStatus.DECLINED, PaymentDeclined, "declined: declined"),
        (ProviderPaymentStatus.PROCESSING, NotDoneYet, "is processing"),
    ],
)
def test_only_held_or_captured_money_is_an_authorization(
    status: ProviderPaymentStatus, error: type[PaymentError], text: str
) -> None:
    payment = authorized(CARD)
    change_at_provider(payment, status=status)

    with pytest.raises(error, match=text):
        again(services.authorize, payment)


@pytest.mark.parametrize(
    ("status", "error", "text"),
    [
        (ProviderPaymentStatus.CANCELLED, PaymentDeclined, "authorization_expired"),
        (ProviderPaymentStatus.PROCESSING, NotDoneYet, "is processing"),
        (ProviderPaymentStatus.REQUIRES_ACTION, NotDoneYet, "is requires_action"),
    ],
)
def test_only_captured_money_is_a_capture(
    status: ProviderPaymentStatus, error: type[PaymentError], text: str
) -> None:
    payment = authorized(CARD)
    change_at_provider(payment, status=status, captured_minor=PRICE)

    with pytest.raises(error, match=text):
        again(services.capture, payment)


def test_less_money_held_than_requested_is_no_authorization() -> None:
    payment = authorized(CARD)
    change_at_provider(payment, held_minor=LESS)

    with pytest.raises(AmountMismatch, match=f"{LESS} held and 0 captured"):
        again(services.authorize, payment)


def test_less_money_captured_than_requested_is_no_capture() -> None:
    payment = captured(CARD)
    change_at_provider(payment, captured_minor=LESS)

    with pytest.raises(AmountMismatch, match=f"0 held and {LESS} captured"):
        again(services.capture, payment)


def test_a_payment_that_can_be_neither_cancelled_nor_refunded_is_not_closed() -> None:
    payment = mark_closing(authorized(CARD))
    change_at_provider(payment, status=ProviderPaymentStatus.PROCESSING)

    with pytest.raises(NotDoneYet, match="is processing"):
        again(services.close, payment)


def test_what_the_customer_had_to_do_is_removed_while_the_provider_continues() -> None:
    payment = prepared_payment(AUTHENTICATING_CARD)
    with pytest.raises(AuthenticationRequired):
        services.authorize(payment.order_id, FakeAttempt(payment.order_id))
    assert services.customer_action(payment.order_id) is not None
    payment.refresh_from_db()
    change_at_provider(
        payment, status=ProviderPaymentStatus.PROCESSING, next_action=None, client_secret=""
    )

    with pytest.raises(NotDoneYet, match="is processing"):
        again(services.authorize, payment)

    payment.refresh_from_db()
    assert (payment.next_action, payment.client_secret) == (None, "")


def test_what_the_customer_has_to_do_is_not_stored_for_a_payment_that_is_being_closed() -> None:
    payment = prepared_payment(AUTHENTICATING_CARD)

    def close_it() -> None:
        if Payment.objects.get().provider_payment_id is not None:
            services.mark_closing([payment.order_id])

    with pytest.raises(PaymentClosed):
        services.authorize(payment.order_id, FakeAttempt(payment.order_id, meanwhile=close_it))

    payment.refresh_from_db()
    assert payment.closing_since is not None
    assert (payment.next_action, payment.client_secret) == (None, "")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (RefundStatus.FAILED, RefundFailed),
        (RefundStatus.CANCELLED, RefundFailed),
        (RefundStatus.PENDING, RefundPending),
        (RefundStatus.REQUIRES_ACTION, RefundPending),
    ],
)
def test_a_payment_is_closed_only_when_its_refund_has_succeeded(
    status: RefundStatus, error: type[PaymentError]
) -> None:
    payment = mark_closing(captured(SLOW_REFUND_CARD))
    with pytest.raises(RefundPending):
        again(services.close, payment)
    [(refund_id, refund)] = PROVIDER.state.refunds.items()
    PROVIDER.state.refunds[refund_id] = replace(refund, status=status)

    with pytest.raises(error, match=f"{refund_id}.* {status}"):
        again(services.close, payment)

    assert Refund.objects.get().status == status
    assert len(PROVIDER.state.refunds) == 1


def test_a_refund_that_another_worker_has_stored_meanwhile_is_used() -> None:
    payment = mark_closing(captured(CARD))

    def store_it() -> None:
        of_payment = {"amount_minor": PRICE, "currency": "eur"}
        Refund.objects.get_or_create(payment=payment, defaults=of_payment)

    services.close(payment.order_id, FakeAttempt(payment.order_id, meanwhile=store_it))

    [refund] = PROVIDER.state.refunds.values()
    assert refund.metadata["refund_id"] == str(Refund.objects.get().pk)
