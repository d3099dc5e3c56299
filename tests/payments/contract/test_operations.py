"""What every payment provider promises, operation by operation."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction

from payments.errors import (
    CallInsideTransaction,
    DeadlinePassed,
    OutcomeUnknown,
    PaymentDeclined,
    PaymentError,
    ProviderBusy,
    RefundRejected,
    RequestRejected,
    UnexpectedState,
    UnknownPayment,
)
from payments.provider_types import (
    PaymentRequest,
    ProviderPayment,
    ProviderPaymentStatus,
    RefundStatus,
)
from payments.providers.protocol import PaymentProvider
from tests.payments.contract.providers import AMOUNT, CHANGES, Contractor, prepared, within

MONEY = {
    ProviderPaymentStatus.CREATED: (0, 0),
    ProviderPaymentStatus.DECLINED: (0, 0),
    ProviderPaymentStatus.AUTHORIZED: (AMOUNT, 0),
    ProviderPaymentStatus.CAPTURED: (0, AMOUNT),
    ProviderPaymentStatus.CANCELLED: (0, 0),
}
"""What is held and what is captured in each status."""

AFTER = {
    "create_payment": ProviderPaymentStatus.CREATED,
    "confirm_payment": ProviderPaymentStatus.AUTHORIZED,
    "capture_payment": ProviderPaymentStatus.CAPTURED,
    "cancel_payment": ProviderPaymentStatus.CANCELLED,
    "create_refund": ProviderPaymentStatus.CAPTURED,
}
"""In which status each operation leaves a payment."""


READS: dict[str, Callable[[PaymentProvider, ProviderPayment], object]] = {
    "retrieve_payment": lambda by, of: by.retrieve_payment(of.id, deadline=within()),
    "list_payments": lambda by, of: list(
        by.list_payments(created_from=of.created_at, deadline=within())
    ),
    "list_refunds": lambda by, of: by.list_refunds(of.id, deadline=within()),
    "list_refunds_since": lambda by, of: list(
        by.list_refunds_since(of.created_at, deadline=within())
    ),
}


def stands_as(payment: ProviderPayment, status: ProviderPaymentStatus) -> bool:
    money = (payment.held_minor, payment.captured_minor)
    return (payment.status, money) == (status, MONEY[status])


def refunded_minor(by: Contractor, payment_id: str) -> int:
    refunds = by.provider.list_refunds(payment_id, deadline=within())
    return sum(refund.amount_minor for refund in refunds if refund.status is RefundStatus.SUCCEEDED)


# -- without a call ------------------------------------------------------------------------------


def test_the_stored_parameters_repeat_the_request(contractor: Contractor) -> None:
    metadata = {"order_id": "42"}
    request = PaymentRequest(AMOUNT, "eur", contractor.card, metadata)

    params = contractor.provider.payment_params(request)

    assert (params["amount"], params["currency"]) == (AMOUNT, "eur")
    assert (params["payment_method"], params["metadata"]) == (contractor.card, metadata)


def test_only_references_of_its_own_form_are_accepted(contractor: Contractor) -> None:
    provider = contractor.provider

    assert provider.accepts(contractor.card)
    for other in ("", "card", "4242424242424242", f" {contractor.card}", f"x{contractor.card}"):
        assert not provider.accepts(other)


def test_its_own_ids_are_recognized(contractor: Contractor) -> None:
    provider = contractor.provider
    payment = contractor.captured()
    refund = provider.create_refund(
        payment.id, amount_minor=1, currency="eur", metadata={}, **contractor.asking()
    )

    assert provider.recognizes(payment.id)
    assert provider.recognizes(refund.id)
    assert not provider.recognizes(str(uuid4()))
    assert not provider.recognizes("")
    assert len(provider.api_version) <= 32


# -- effects -------------------------------------------------------------------------------------


def test_a_created_payment_takes_no_money(contractor: Contractor) -> None:
    payment = contractor.created(order_id="42")

    assert stands_as(payment, ProviderPaymentStatus.CREATED)
    assert (payment.amount_minor, payment.currency) == (AMOUNT, "eur")
    assert (payment.metadata, payment.decline_code) == ({"order_id": "42"}, "")
    assert contractor.retrieve(payment.id) == payment


def test_a_confirmed_payment_is_held(contractor: Contractor) -> None:
    payment = contractor.authorized()

    assert stands_as(payment, ProviderPaymentStatus.AUTHORIZED)
    assert contractor.retrieve(payment.id) == payment


def test_a_capture_takes_its_amount_and_releases_the_rest(contractor: Contractor) -> None:
    payment_id = contractor.authorized().id

    payment = contractor.provider.capture_payment(
        payment_id, amount_minor=700, currency="eur", **contractor.asking()
    )

    assert payment.status is ProviderPaymentStatus.CAPTURED
    assert (payment.held_minor, payment.captured_minor) == (0, 700)
    assert contractor.retrieve(payment_id) == payment


def test_more_than_is_held_is_not_captured(contractor: Contractor) -> None:
    payment = contractor.authorized()

    with pytest.raises(RequestRejected):
        contractor.provider.capture_payment(
            payment.id, amount_minor=AMOUNT + 1, currency="eur", **contractor.asking()
        )

    assert contractor.retrieve(payment.id) == payment


def test_a_declined_payment_holds_nothing(contractor: Contractor) -> None:
    payment_id, key = contractor.created(contractor.declined_card).id, uuid4().hex

    for _ in range(2):
        with pytest.raises(PaymentDeclined) as declined:
            contractor.provider.confirm_payment(payment_id, **contractor.asking(key))
        assert declined.value.decline_code != ""
        assert declined.value.payment is not None
        assert stands_as(declined.value.payment, ProviderPaymentStatus.DECLINED)

    found = contractor.retrieve(payment_id)
    assert stands_as(found, ProviderPaymentStatus.DECLINED)
    assert found.decline_code == declined.value.decline_code


@pytest.mark.parametrize("make", ["created", "authorized"])
def test_a_cancelled_payment_can_never_be_confirmed(contractor: Contractor, make: str) -> None:
    payment_id = getattr(contractor, make)().id

    payment = contractor.provider.cancel_payment(payment_id, **contractor.asking())

    assert stands_as(payment, ProviderPaymentStatus.CANCELLED)
    with pytest.raises(UnexpectedState) as late:
        contractor.provider.confirm_payment(payment_id, **contractor.asking())
    assert stands_as(late.value.payment, ProviderPaymentStatus.CANCELLED)
    assert contractor.retrieve(payment_id) == payment


def test_a_declined_payment_can_be_cancelled_for_good(contractor: Contractor) -> None:
    payment_id = contractor.created(contractor.declined_card).id
    with pytest.raises(PaymentDeclined):
        contractor.provider.confirm_payment(payment_id, **contractor.asking())

    contractor.provider.cancel_payment(payment_id, **contractor.asking())

    with pytest.raises(UnexpectedState):
        contractor.provider.confirm_payment(payment_id, **contractor.asking())
    assert stands_as(contractor.retrieve(payment_id), ProviderPaymentStatus.CANCELLED)


@pytest.mark.parametrize(
    ("make", "operation"),
    [
        ("authorized", "confirm_payment"),
        ("created", "capture_payment"),
        ("captured", "capture_payment"),
        ("captured", "confirm_payment"),
        ("captured", "cancel_payment"),
    ],
)
def test_a_payment_in_another_status_is_left_and_shown(
    contractor: Contractor, make: str, operation: str
) -> None:
    payment: ProviderPayment = getattr(contractor, make)()
    _, call = CHANGES[operation]

    with pytest.raises(UnexpectedState) as unexpected:
        call(contractor, payment.id, uuid4().hex)

    assert unexpected.value.payment == payment
    assert contractor.retrieve(payment.id) == payment


def test_no_more_is_refunded_than_was_captured(contractor: Contractor) -> None:
    payment_id = contractor.captured().id
    refund = contractor.provider.create_refund(
        payment_id, amount_minor=AMOUNT, currency="eur", metadata={}, **contractor.asking()
    )

    with pytest.raises(RefundRejected):
        contractor.provider.create_refund(
            payment_id, amount_minor=1, currency="eur", metadata={}, **contractor.asking()
        )

    assert (refund.status, refund.amount_minor) == (RefundStatus.SUCCEEDED, AMOUNT)
    assert contractor.provider.list_refunds(payment_id, deadline=within()) == [refund]
    assert contractor.retrieve(payment_id).captured_minor == AMOUNT


@pytest.mark.parametrize(
    ("card", "end"),
    [("slow_refund_card", RefundStatus.SUCCEEDED), ("failing_refund_card", RefundStatus.FAILED)],
)
def test_a_refund_may_end_later(contractor: Contractor, card: str, end: RefundStatus) -> None:
    payment_id = contractor.captured(getattr(contractor, card)).id
    contractor.provider.create_refund(
        payment_id, amount_minor=AMOUNT, currency="eur", metadata={}, **contractor.asking()
    )

    contractor.advance(3600)

    (refund,) = contractor.provider.list_refunds(payment_id, deadline=within())
    assert refund.status is end
    assert (refund.failure_reason != "") == (end is RefundStatus.FAILED)


# -- repetition, time-out and crash --------------------------------------------------------------


@pytest.mark.parametrize("operation", CHANGES)
def test_an_operation_acts_once_for_one_key(contractor: Contractor, operation: str) -> None:
    payment_id, call = prepared(contractor, operation)
    key = uuid4().hex

    first, second = call(key), call(key)

    assert second == first
    assert_done_once(contractor, operation, payment_id or first.id)


@pytest.mark.parametrize("fault", ["reset_before", "reset_after"])
@pytest.mark.parametrize("operation", CHANGES)
def test_a_lost_answer_is_unknown_and_its_repetition_acts_once(
    contractor: Contractor, operation: str, fault: str
) -> None:
    payment_id, call = prepared(contractor, operation)
    contractor.fail_next(operation, fault)
    key = uuid4().hex

    with pytest.raises(OutcomeUnknown) as lost:
        call(key)
    result = call(key)

    assert lost.value.replayed is False
    assert_done_once(contractor, operation, payment_id or result.id)


@pytest.mark.parametrize("operation", CHANGES)
def test_a_saved_error_is_repeated_and_said_to_be(contractor: Contractor, operation: str) -> None:
    payment_id, call = prepared(contractor, operation)
    contractor.fail_next(operation, "error_after")
    key = uuid4().hex

    replayed = []
    for _ in range(3):
        with pytest.raises(OutcomeUnknown) as error:
            call(key)
        replayed.append(error.value.replayed)

    assert replayed == [False, True, True]
    if payment_id:
        assert_done_once(contractor, operation, payment_id)


@pytest.mark.parametrize("operation", CHANGES)
def test_a_busy_provider_has_done_nothing_and_may_be_asked_again(
    contractor: Contractor, operation: str
) -> None:
    payment_id, call = prepared(contractor, operation)
    before = contractor.retrieve(payment_id) if payment_id else None
    contractor.fail_next(operation, "busy")
    key = uuid4().hex

    with pytest.raises(ProviderBusy):
        call(key)
    if before:
        assert contractor.retrieve(payment_id) == before
        assert refunded_minor(contractor, payment_id) == 0
    result = call(key)

    assert_done_once(contractor, operation, payment_id or result.id)


@pytest.mark.parametrize("operation", CHANGES)
def test_an_operation_is_not_started_inside_a_transaction_or_after_its_deadline(
    contractor: Contractor, operation: str, transactional_db: None
) -> None:
    payment_id, call = prepared(contractor, operation)
    before = contractor.calls()

    with transaction.atomic(), pytest.raises(CallInsideTransaction):
        call(uuid4().hex)
    with pytest.raises(DeadlinePassed):
        late(contractor, operation, payment_id)

    assert contractor.calls() == before


@pytest.mark.parametrize("operation", READS)
def test_nothing_is_read_inside_a_transaction(
    contractor: Contractor, operation: str, transactional_db: None
) -> None:
    payment = contractor.created()
    before = contractor.calls()

    with transaction.atomic(), pytest.raises(CallInsideTransaction):
        READS[operation](contractor.provider, payment)

    assert contractor.calls() == before


def test_one_key_is_for_one_request(contractor: Contractor) -> None:
    payment_id, key = contractor.captured().id, uuid4().hex
    refund: dict[str, Any] = {"metadata": {}, **contractor.asking(key)}
    contractor.provider.create_refund(payment_id, amount_minor=500, currency="eur", **refund)

    with pytest.raises(RequestRejected):
        contractor.provider.create_refund(payment_id, amount_minor=600, currency="eur", **refund)

    assert refunded_minor(contractor, payment_id) == 500


def late(by: Contractor, operation: str, payment_id: str) -> None:
    arguments = {**by.asking(), "deadline": within(0)}
    match operation:
        case "create_payment":
            by.provider.create_payment(by.params(), **arguments)
        case "capture_payment":
            by.provider.capture_payment(
                payment_id, amount_minor=AMOUNT, currency="eur", **arguments
            )
        case "create_refund":
            by.provider.create_refund(
                payment_id, amount_minor=AMOUNT, currency="eur", metadata={}, **arguments
            )
        case _:
            getattr(by.provider, operation)(payment_id, **arguments)


def assert_done_once(by: Contractor, operation: str, payment_id: str) -> None:
    payment = by.retrieve(payment_id)
    assert stands_as(payment, AFTER[operation])
    refunds = by.provider.list_refunds(payment_id, deadline=within())
    expected = [AMOUNT] if operation == "create_refund" else []
    assert [refund.amount_minor for refund in refunds] == expected
    if operation == "create_payment":
        recent = by.provider.list_payments(created_from=payment.created_at, deadline=within())
        assert [found for found in recent if found.metadata == payment.metadata] == [payment]


# -- listings for reconciliation -----------------------------------------------------------------


def test_payments_are_listed_since_a_moment_newest_first(contractor: Contractor) -> None:
    contractor.advance(100)
    contractor.created()
    contractor.advance(100)
    first, second = contractor.created(), contractor.authorized()

    listed = contractor.provider.list_payments(
        created_from=first.created_at + timedelta(microseconds=999_999), deadline=within()
    )

    assert list(listed) == [second, first]


def test_refunds_are_listed_by_payment_and_since_a_moment(contractor: Contractor) -> None:
    provider = contractor.provider
    contractor.advance(100)
    payment = contractor.captured()
    older = refund(contractor, payment.id, 100)
    contractor.advance(100)
    first, second = refund(contractor, payment.id, 200), refund(contractor, payment.id, 300)

    assert provider.list_refunds(payment.id, deadline=within()) == [second, first, older]
    since = provider.list_refunds_since(first.created_at, deadline=within())
    assert list(since) == [second, first]
    assert provider.list_refunds(contractor.captured().id, deadline=within()) == []


def test_a_lost_refund_is_found_by_its_metadata(contractor: Contractor) -> None:
    payment_id = contractor.captured().id
    contractor.fail_next("create_refund", "reset_after")
    with pytest.raises(OutcomeUnknown):
        refund(contractor, payment_id, 500)

    (found,) = contractor.provider.list_refunds(payment_id, deadline=within())

    assert (found.payment_id, found.amount_minor, found.currency) == (payment_id, 500, "eur")
    assert found.metadata == {"refund_id": "500"}


def refund(by: Contractor, payment_id: str, amount_minor: int) -> Any:
    metadata = {"refund_id": str(amount_minor)}
    return by.provider.create_refund(
        payment_id, amount_minor=amount_minor, currency="eur", metadata=metadata, **by.asking()
    )


def test_an_unknown_payment_is_an_error(contractor: Contractor) -> None:
    with pytest.raises(UnknownPayment):
        contractor.retrieve("pi_never_created")


def test_limits_are_kept(contractor: Contractor) -> None:
    limits = contractor.provider.charge_limits("eur")
    assert limits is not None

    def create(amount_minor: int) -> ProviderPayment:
        params = {**contractor.params(), "amount": amount_minor}
        return contractor.provider.create_payment(params, **contractor.asking())

    for refused in (limits.minimum_minor - 1, limits.maximum_minor + 1):
        with pytest.raises(RequestRejected) as rejected:
            create(refused)
        assert rejected.value.detail
    assert create(limits.minimum_minor).amount_minor == limits.minimum_minor
    assert create(limits.maximum_minor).amount_minor == limits.maximum_minor


def test_no_provider_charges_in_an_unknown_currency(contractor: Contractor) -> None:
    assert contractor.provider.charge_limits("xyz") is None


@pytest.mark.parametrize("operation", READS)
def test_a_read_without_an_answer_is_an_error(contractor: Contractor, operation: str) -> None:
    payment = contractor.created()
    contractor.fail_next(operation, "reset_before")

    with pytest.raises(OutcomeUnknown):
        READS[operation](contractor.provider, payment)


def test_every_error_is_one_of_payments(contractor: Contractor) -> None:
    with pytest.raises(PaymentError):
        contractor.provider.confirm_payment("pi_never_created", **contractor.asking())
