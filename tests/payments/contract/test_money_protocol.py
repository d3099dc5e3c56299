"""Authorize, capture and close with every provider: one charge, or all of the money returned."""

from collections.abc import Sequence
from typing import Any

import pytest
from django.db import transaction
from pytest_django import Settings

from bulk_sql.statements import write
from payments import services
from payments.errors import AmountMismatch, OutcomeUnknown, PaymentClosed, WrongStatus
from payments.models import Payment, Refund
from payments.provider_reconciliation import ProviderPaymentState, read_payments, read_providers
from payments.provider_types import PaymentKey
from payments.services import Charge
from sagas.identifiers import new_id
from tests.payments.contract.providers import (
    AMOUNT,
    TAKES_AT_ONCE,
    ProviderUnderTest,
    name_of,
    within,
)
from tests.support.payment_attempts import REPEATED_ATTEMPT, FakeAttempt, mark_closing

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def own_installation(settings: Settings) -> None:
    settings.INSTALLATION_ID = str(new_id())


def payment_by(method: str) -> Payment:
    charge = Charge(new_id(), new_id(), AMOUNT, "eur", method)
    with transaction.atomic():
        write(services.prepare_payments([charge]))
    return Payment.objects.get(order_id=charge.order_id)


def authorize(payment: Payment, number: int = 1, **attempt: Any) -> dict[str, Any]:
    return services.authorize(payment.order_id, FakeAttempt(payment.order_id, number, **attempt))


def capture(payment: Payment, number: int = 1) -> dict[str, Any]:
    return services.capture(payment.order_id, FakeAttempt(payment.order_id, number))


def close(payment: Payment, number: int = 1) -> str:
    (ended,) = services.close(payment.order_id, FakeAttempt(payment.order_id, number))["payments"]
    return str(ended["status"])


def payment_states() -> list[tuple[str, int, int, int]]:
    """Return each payment of our installation at the provider: status, held, captured, refunded."""
    return [
        (state.status, state.held_minor, state.captured_minor, state.refunded_minor)
        for state in read_providers().payments
    ]


HELD = ("authorized", AMOUNT, 0, 0)
TAKEN = ("captured", 0, AMOUNT, 0)
RETURNED = ("captured", 0, AMOUNT, AMOUNT)
CANCELLED = ("cancelled", 0, 0, 0)


def test_a_payment_is_held_and_captured_once(tested: ProviderUnderTest) -> None:
    payment = payment_by(tested.card)

    held = authorize(payment)
    after_authorizing = payment_states()
    taken = capture(payment)

    payment.refresh_from_db()
    assert payment.provider == tested.name
    assert held == {
        "provider_payment_id": payment.provider_payment_id,
        "status": "authorized",
        "amount_minor": AMOUNT,
    }
    assert taken == {
        "provider_payment_id": payment.provider_payment_id,
        "captured_minor": AMOUNT,
    }
    assert after_authorizing == [HELD]
    assert payment_states() == [TAKEN]


@pytest.mark.parametrize("fault", ["reset_before", "reset_after"])
@pytest.mark.parametrize("operation", ["create_payment", "confirm_payment", "capture_payment"])
def test_the_next_attempt_finds_out_what_a_lost_call_did(
    tested: ProviderUnderTest, operation: str, fault: str
) -> None:
    payment = payment_by(tested.card)
    tested.fail_next(operation, fault)

    def pay(number: int) -> None:
        authorize(payment, number)
        capture(payment, number)

    with pytest.raises(OutcomeUnknown):
        pay(1)
    pay(REPEATED_ATTEMPT)

    assert payment_states() == [TAKEN]


def test_a_create_with_a_saved_error_is_searched_for(tested: ProviderUnderTest) -> None:
    payment = payment_by(tested.card)
    tested.fail_next("create_payment", "error_after")
    for number in (1, 2, 3):
        with pytest.raises(OutcomeUnknown):
            authorize(payment, number)

    authorize(payment, 4)

    assert payment_states() == [HELD]


def test_a_payment_closed_before_its_id_was_stored_is_never_confirmed(
    tested: ProviderUnderTest,
) -> None:
    payment = payment_by(tested.card)

    with pytest.raises(PaymentClosed):
        authorize(payment, meanwhile=lambda: mark_closing(payment))

    payment.refresh_from_db()
    assert payment.provider_payment_id is None
    assert payment_states() == [CANCELLED]


def test_a_late_confirmation_fails_after_closing(tested: ProviderUnderTest) -> None:
    payment = payment_by(tested.card)
    tested.fail_next("confirm_payment", "reset_before")
    with pytest.raises(OutcomeUnknown):
        authorize(payment)
    payment.refresh_from_db()
    assert close(mark_closing(payment)) == "voided"

    assert payment.provider_payment_id is not None
    with pytest.raises(WrongStatus):
        tested.provider.confirm_payment(
            payment.provider_payment_id,
            payment.params,
            key=payment.idempotency_key("confirm"),
            api_version=payment.api_version,
            deadline=within(),
        )
    assert payment_states() == [CANCELLED]


@pytest.mark.parametrize("fault", ["reset_before", "reset_after", "error_after"])
def test_a_lost_refund_is_found_again(tested: ProviderUnderTest, fault: str) -> None:
    payment = payment_by(tested.card)
    authorize(payment)
    capture(payment)
    mark_closing(payment)
    tested.fail_next("create_refund", fault)

    with pytest.raises(OutcomeUnknown):
        close(payment)

    assert close(payment, REPEATED_ATTEMPT) == "refunded"
    assert payment_states() == [RETURNED]
    refund = Refund.objects.get()
    assert (refund.amount_minor, refund.status) == (AMOUNT, "succeeded")


@pytest.mark.parametrize("fault", ["reset_before", "reset_after"])
def test_a_lost_cancel_is_found_again(tested: ProviderUnderTest, fault: str) -> None:
    payment = payment_by(tested.card)
    authorize(payment)
    mark_closing(payment)
    tested.fail_next("cancel_payment", fault)

    with pytest.raises(OutcomeUnknown):
        close(payment)

    assert close(payment, REPEATED_ATTEMPT) == "voided"
    assert payment_states() == [CANCELLED]


def test_a_different_amount_is_no_authorization(tested: ProviderUnderTest) -> None:
    payment = payment_by(tested.card)
    Payment.objects.update(amount_minor=AMOUNT + 1)

    with pytest.raises(AmountMismatch, match=f"{AMOUNT} held and 0 captured, eur"):
        authorize(payment)


def test_a_payment_is_read_for_reconciliation(tested: ProviderUnderTest) -> None:
    payment = payment_by(tested.card)
    authorize(payment)
    payment.refresh_from_db()
    tested.make_created(order_id="of another installation")

    (state,) = read_providers().payments

    key = PaymentKey(tested.name, str(payment.provider_payment_id))
    assert state == ProviderPaymentState(
        *key, str(payment.order_id), "authorized", "eur", AMOUNT, 0, 0
    )
    assert read_payments([key, PaymentKey(tested.name, "pi_unknown")]).payments == [state]


def test_reconciliation_reads_every_provider(all_tested: Sequence[ProviderUnderTest]) -> None:
    payments = [payment_by(tested.card) for tested in all_tested]
    for payment in payments:
        authorize(payment)

    found = read_providers().payments

    assert [payment.provider for payment in payments] == [tested.name for tested in all_tested]
    assert {(state.provider, state.order_id) for state in found} == {
        (payment.provider, str(payment.order_id)) for payment in payments
    }


@pytest.mark.parametrize("tested", TAKES_AT_ONCE, ids=name_of, indirect=True)
def test_money_that_cannot_be_held_is_taken_at_once_and_refunded_on_closing(
    tested: ProviderUnderTest,
) -> None:
    payment = payment_by(tested.direct_debit)

    assert authorize(payment)["status"] == "captured"
    assert capture(payment)["captured_minor"] == AMOUNT
    assert payment_states() == [TAKEN]
    assert close(mark_closing(payment)) == "refunded"
    assert payment_states() == [RETURNED]
    assert tested.confirmations() == 1
