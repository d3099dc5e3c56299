"""What every payment provider promises, operation by operation."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from pytest_django import Settings

from payments.errors import (
    CallInsideTransaction,
    DeadlinePassed,
    NotDoneYet,
    OutcomeUnknown,
    PaymentDeclined,
    PaymentError,
    RefundRejected,
    RequestRejected,
    UnknownPayment,
    WrongStatus,
)
from payments.provider_types import (
    PaymentRequest,
    ProviderPayment,
    ProviderPaymentStatus,
    RefundStatus,
)
from payments.providers.protocol import PaymentProvider
from tests.payments.contract.providers import (
    AMOUNT,
    CHANGES,
    OVER_HTTP,
    ProviderUnderTest,
    name_of,
    prepared,
    within,
)
from tests.support.canned_http import CannedResponse, CannedServer
from tests.support.threads import start_thread
from tests.support.waits import wait_until

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
"""The status of a payment after each operation."""


READS: dict[str, Callable[[PaymentProvider, ProviderPayment], object]] = {
    "retrieve_payment": lambda provider, payment: provider.retrieve_payment(
        payment.id, deadline=within()
    ),
    "list_payments": lambda provider, payment: list(
        provider.list_payments(created_from=payment.created_at, deadline=within())
    ),
    "list_refunds": lambda provider, payment: provider.list_refunds(payment.id, deadline=within()),
    "list_refunds_since": lambda provider, payment: list(
        provider.list_refunds_since(payment.created_at, deadline=within())
    ),
}


def has_status(payment: ProviderPayment, status: ProviderPaymentStatus) -> bool:
    money = (payment.held_minor, payment.captured_minor)
    return (payment.status, money) == (status, MONEY[status])


def refunded_minor(tested: ProviderUnderTest, payment_id: str) -> int:
    refunds = tested.provider.list_refunds(payment_id, deadline=within())
    return sum(refund.amount_minor for refund in refunds if refund.status is RefundStatus.SUCCEEDED)


# -- without a call ------------------------------------------------------------------------------


def test_the_stored_parameters_repeat_the_request(tested: ProviderUnderTest) -> None:
    metadata = {"order_id": "42"}
    request = PaymentRequest(AMOUNT, "eur", tested.card, metadata)

    params = tested.provider.payment_params(request)

    assert (params["amount"], params["currency"]) == (AMOUNT, "eur")
    assert (params["payment_method"], params["metadata"]) == (tested.card, metadata)


def test_a_provider_accepts_only_its_own_payment_methods(tested: ProviderUnderTest) -> None:
    provider = tested.provider

    assert provider.accepts_payment_method(tested.card)
    for other in ("", "card", "4242424242424242", f" {tested.card}", f"x{tested.card}"):
        assert not provider.accepts_payment_method(other)


def test_no_provider_accepts_the_payment_methods_of_another(
    all_tested: Sequence[ProviderUnderTest],
) -> None:
    for tested in all_tested:
        accepted_by = [
            other.name for other in all_tested if other.provider.accepts_payment_method(tested.card)
        ]
        assert accepted_by == [tested.name]


def test_a_provider_recognizes_its_own_ids(tested: ProviderUnderTest) -> None:
    provider = tested.provider
    payment = tested.make_captured()
    refund = provider.create_refund(
        payment.id, amount_minor=1, currency="eur", metadata={}, **tested.change_arguments()
    )

    assert provider.recognizes_id(payment.id)
    assert provider.recognizes_id(refund.id)
    assert max(len(payment.id), len(refund.id)) <= 255
    assert not provider.recognizes_id(str(uuid4()))
    assert not provider.recognizes_id("")
    assert len(tested.name) <= 64
    assert len(provider.api_version) <= 32


# -- effects -------------------------------------------------------------------------------------


def test_a_created_payment_takes_no_money(tested: ProviderUnderTest) -> None:
    payment = tested.make_created(order_id="42")

    assert has_status(payment, ProviderPaymentStatus.CREATED)
    assert (payment.amount_minor, payment.currency) == (AMOUNT, "eur")
    assert (payment.metadata, payment.decline_code) == ({"order_id": "42"}, "")
    assert tested.retrieve(payment.id) == payment


def test_a_confirmed_payment_is_authorized(tested: ProviderUnderTest) -> None:
    payment = tested.make_authorized()

    assert has_status(payment, ProviderPaymentStatus.AUTHORIZED)
    assert tested.retrieve(payment.id) == payment


def test_a_capture_of_a_part_releases_the_rest(tested: ProviderUnderTest) -> None:
    payment_id = tested.make_authorized().id

    payment = tested.provider.capture_payment(
        payment_id, amount_minor=700, currency="eur", **tested.change_arguments()
    )

    assert payment.status is ProviderPaymentStatus.CAPTURED
    assert (payment.held_minor, payment.captured_minor) == (0, 700)
    assert tested.retrieve(payment_id) == payment


def test_a_capture_above_the_held_amount_is_rejected(tested: ProviderUnderTest) -> None:
    payment = tested.make_authorized()

    with pytest.raises(RequestRejected):
        tested.provider.capture_payment(
            payment.id, amount_minor=AMOUNT + 1, currency="eur", **tested.change_arguments()
        )

    assert tested.retrieve(payment.id) == payment


def test_a_declined_payment_holds_nothing(tested: ProviderUnderTest) -> None:
    payment_id, key = tested.make_created(tested.declined_card).id, uuid4().hex

    for _ in range(2):
        with pytest.raises(PaymentDeclined) as declined:
            tested.confirm(payment_id, key)
        assert 0 < len(declined.value.decline_code) <= 64
        assert declined.value.payment is not None
        assert has_status(declined.value.payment, ProviderPaymentStatus.DECLINED)

    found = tested.retrieve(payment_id)
    assert has_status(found, ProviderPaymentStatus.DECLINED)
    assert found.decline_code == declined.value.decline_code


@pytest.mark.parametrize("make", ["make_created", "make_authorized"])
def test_a_cancelled_payment_can_never_be_confirmed(tested: ProviderUnderTest, make: str) -> None:
    payment_id = getattr(tested, make)().id

    payment = tested.provider.cancel_payment(payment_id, **tested.change_arguments())

    assert has_status(payment, ProviderPaymentStatus.CANCELLED)
    with pytest.raises(WrongStatus) as late:
        tested.confirm(payment_id)
    assert has_status(late.value.payment, ProviderPaymentStatus.CANCELLED)
    assert tested.retrieve(payment_id) == payment


def test_a_declined_payment_can_be_cancelled_for_good(tested: ProviderUnderTest) -> None:
    payment_id = tested.make_created(tested.declined_card).id
    with pytest.raises(PaymentDeclined):
        tested.confirm(payment_id)

    tested.provider.cancel_payment(payment_id, **tested.change_arguments())

    with pytest.raises(WrongStatus):
        tested.confirm(payment_id)
    assert has_status(tested.retrieve(payment_id), ProviderPaymentStatus.CANCELLED)


@pytest.mark.parametrize(
    ("make", "operation"),
    [
        ("make_authorized", "confirm_payment"),
        ("make_created", "capture_payment"),
        ("make_captured", "capture_payment"),
        ("make_captured", "confirm_payment"),
        ("make_captured", "cancel_payment"),
    ],
)
def test_a_payment_with_a_wrong_status_is_unchanged_and_returned(
    tested: ProviderUnderTest, make: str, operation: str
) -> None:
    payment: ProviderPayment = getattr(tested, make)()
    _, call = CHANGES[operation]

    with pytest.raises(WrongStatus) as unexpected:
        call(tested, payment.id, uuid4().hex)

    assert unexpected.value.payment == payment
    assert tested.retrieve(payment.id) == payment


@pytest.mark.parametrize("refunded", [AMOUNT, 500], ids=["wholly", "in part"])
def test_a_refund_of_more_than_is_left_is_rejected(
    tested: ProviderUnderTest, refunded: int
) -> None:
    payment_id = tested.make_captured().id
    first = refund(tested, payment_id, refunded)

    with pytest.raises(RefundRejected) as rejected:
        refund(tested, payment_id, AMOUNT - refunded + 1)

    assert rejected.value.code
    assert (first.status, first.amount_minor) == (RefundStatus.SUCCEEDED, refunded)
    assert tested.provider.list_refunds(payment_id, deadline=within()) == [first]
    assert tested.retrieve(payment_id).captured_minor == AMOUNT


@pytest.mark.parametrize(
    ("card", "end"),
    [("slow_refund_card", RefundStatus.SUCCEEDED), ("failing_refund_card", RefundStatus.FAILED)],
)
def test_a_refund_may_end_later(tested: ProviderUnderTest, card: str, end: RefundStatus) -> None:
    payment_id = tested.make_captured(getattr(tested, card)).id
    tested.provider.create_refund(
        payment_id, amount_minor=AMOUNT, currency="eur", metadata={}, **tested.change_arguments()
    )

    tested.advance(3600)

    (refund,) = tested.provider.list_refunds(payment_id, deadline=within())
    assert refund.status is end
    assert (refund.failure_reason != "") == (end is RefundStatus.FAILED)


# -- repetition, time-out and crash --------------------------------------------------------------


@pytest.mark.parametrize("operation", CHANGES)
def test_an_operation_acts_once_for_one_key(tested: ProviderUnderTest, operation: str) -> None:
    payment_id, call = prepared(tested, operation)
    key = uuid4().hex

    first, second = call(key), call(key)

    assert second == first
    assert_done_once(tested, operation, payment_id or first.id)


@pytest.mark.parametrize("fault", ["reset_before", "reset_after"])
@pytest.mark.parametrize("operation", CHANGES)
def test_a_lost_answer_is_unknown_and_the_repetition_acts_once(
    tested: ProviderUnderTest, operation: str, fault: str
) -> None:
    payment_id, call = prepared(tested, operation)
    tested.fail_next(operation, fault)
    key = uuid4().hex

    with pytest.raises(OutcomeUnknown) as lost:
        call(key)
    result = call(key)

    assert lost.value.replayed is False
    assert_done_once(tested, operation, payment_id or result.id)


@pytest.mark.parametrize("operation", CHANGES)
def test_a_saved_error_is_marked_as_replayed(tested: ProviderUnderTest, operation: str) -> None:
    payment_id, call = prepared(tested, operation)
    tested.fail_next(operation, "error_after")
    key = uuid4().hex

    replayed = []
    for _ in range(3):
        with pytest.raises(OutcomeUnknown) as error:
            call(key)
        replayed.append(error.value.replayed)

    assert replayed == [False, True, True]
    if payment_id:
        assert_done_once(tested, operation, payment_id)


@pytest.mark.parametrize("operation", CHANGES)
def test_a_busy_provider_has_done_nothing_and_can_be_called_again(
    tested: ProviderUnderTest, operation: str
) -> None:
    payment_id, call = prepared(tested, operation)
    before = tested.retrieve(payment_id) if payment_id else None
    tested.fail_next(operation, "busy")
    key = uuid4().hex

    with pytest.raises(NotDoneYet):
        call(key)
    if before:
        assert tested.retrieve(payment_id) == before
        assert refunded_minor(tested, payment_id) == 0
    result = call(key)

    assert_done_once(tested, operation, payment_id or result.id)


@pytest.mark.parametrize("operation", CHANGES)
def test_overlapping_calls_with_one_key_act_once(tested: ProviderUnderTest, operation: str) -> None:
    payment_id, call = prepared(tested, operation)
    held, key = tested.hold_next(operation), uuid4().hex
    first = start_thread(call, key)
    wait_until(held.has_arrived)

    try:
        with pytest.raises(NotDoneYet):
            call(key)
    finally:
        held.release()
    result = first.result()

    assert call(key) == result
    assert_done_once(tested, operation, payment_id or result.id)


def test_overlapping_calls_get_their_own_answers(tested: ProviderUnderTest) -> None:
    held = tested.hold_next("create_payment")
    first = start_thread(tested.make_created, order_id="first")
    wait_until(held.has_arrived)

    try:
        second = tested.make_created(order_id="second")
    finally:
        held.release()

    assert second.metadata == {"order_id": "second"}
    assert first.result().metadata == {"order_id": "first"}
    assert first.result().id != second.id


@pytest.mark.parametrize("operation", CHANGES)
def test_an_operation_is_not_started_inside_a_transaction_or_after_its_deadline(
    tested: ProviderUnderTest, operation: str, transactional_db: None
) -> None:
    payment_id, call = prepared(tested, operation)
    before = tested.calls()

    with transaction.atomic(), pytest.raises(CallInsideTransaction):
        call(uuid4().hex)
    with pytest.raises(DeadlinePassed):
        late(tested, operation, payment_id)

    assert tested.calls() == before


@pytest.mark.parametrize("operation", READS)
def test_nothing_is_read_inside_a_transaction(
    tested: ProviderUnderTest, operation: str, transactional_db: None
) -> None:
    payment = tested.make_created()
    before = tested.calls()

    with transaction.atomic(), pytest.raises(CallInsideTransaction):
        READS[operation](tested.provider, payment)

    assert tested.calls() == before


def test_a_key_with_other_parameters_is_rejected(tested: ProviderUnderTest) -> None:
    payment_id, key = tested.make_captured().id, uuid4().hex
    refund: dict[str, Any] = {"metadata": {}, **tested.change_arguments(key)}
    tested.provider.create_refund(payment_id, amount_minor=500, currency="eur", **refund)

    with pytest.raises(RequestRejected):
        tested.provider.create_refund(payment_id, amount_minor=600, currency="eur", **refund)

    assert refunded_minor(tested, payment_id) == 500


def late(tested: ProviderUnderTest, operation: str, payment_id: str) -> None:
    arguments = {**tested.change_arguments(), "deadline": within(0)}
    match operation:
        case "create_payment":
            tested.provider.create_payment(tested.params(), **arguments)
        case "confirm_payment":
            tested.provider.confirm_payment(payment_id, tested.params(), **arguments)
        case "capture_payment":
            tested.provider.capture_payment(
                payment_id, amount_minor=AMOUNT, currency="eur", **arguments
            )
        case "create_refund":
            tested.provider.create_refund(
                payment_id, amount_minor=AMOUNT, currency="eur", metadata={}, **arguments
            )
        case _:
            getattr(tested.provider, operation)(payment_id, **arguments)


def assert_done_once(tested: ProviderUnderTest, operation: str, payment_id: str) -> None:
    payment = tested.retrieve(payment_id)
    assert has_status(payment, AFTER[operation])
    refunds = tested.provider.list_refunds(payment_id, deadline=within())
    expected = [AMOUNT] if operation == "create_refund" else []
    assert [refund.amount_minor for refund in refunds] == expected
    if operation == "create_payment":
        recent = tested.provider.list_payments(created_from=payment.created_at, deadline=within())
        assert [found for found in recent if found.metadata == payment.metadata] == [payment]


# -- listings for reconciliation -----------------------------------------------------------------


def test_payments_are_listed_since_a_moment_newest_first(tested: ProviderUnderTest) -> None:
    tested.advance(100)
    tested.make_created()
    tested.advance(100)
    first, second = tested.make_created(), tested.make_authorized()

    listed = tested.provider.list_payments(
        created_from=first.created_at + timedelta(microseconds=999_999), deadline=within()
    )

    assert list(listed) == [second, first]


def test_refunds_are_listed_by_payment_and_since_a_moment(tested: ProviderUnderTest) -> None:
    provider = tested.provider
    tested.advance(100)
    payment = tested.make_captured()
    older = refund(tested, payment.id, 100)
    tested.advance(100)
    first, second = refund(tested, payment.id, 200), refund(tested, payment.id, 300)

    assert provider.list_refunds(payment.id, deadline=within()) == [second, first, older]
    since = provider.list_refunds_since(first.created_at, deadline=within())
    assert list(since) == [second, first]
    assert provider.list_refunds(tested.make_captured().id, deadline=within()) == []


def test_every_page_of_a_listing_is_read(tested: ProviderUnderTest) -> None:
    provider = tested.provider
    tested.set_page_size(2)
    tested.advance(100)
    paid = tested.make_captured()
    refunds = [refund(tested, paid.id, amount_minor) for amount_minor in (1, 2, 3, 4, 5)]
    created = [tested.make_created() for _ in range(4)]

    payments = provider.list_payments(created_from=paid.created_at, deadline=within())
    recent = provider.list_refunds_since(paid.created_at, deadline=within())

    assert list(payments) == [*reversed(created), paid]
    assert list(recent) == [*reversed(refunds)]
    assert provider.list_refunds(paid.id, deadline=within()) == [*reversed(refunds)]


def test_a_lost_refund_is_found_by_its_metadata(tested: ProviderUnderTest) -> None:
    payment_id = tested.make_captured().id
    tested.fail_next("create_refund", "reset_after")
    with pytest.raises(OutcomeUnknown):
        refund(tested, payment_id, 500)

    (found,) = tested.provider.list_refunds(payment_id, deadline=within())

    assert (found.payment_id, found.amount_minor, found.currency) == (payment_id, 500, "eur")
    assert found.metadata == {"refund_id": "500"}


def refund(tested: ProviderUnderTest, payment_id: str, amount_minor: int) -> Any:
    metadata = {"refund_id": str(amount_minor)}
    return tested.provider.create_refund(
        payment_id,
        amount_minor=amount_minor,
        currency="eur",
        metadata=metadata,
        **tested.change_arguments(),
    )


def test_an_unknown_payment_is_an_error(tested: ProviderUnderTest) -> None:
    with pytest.raises(UnknownPayment):
        tested.retrieve("pi_never_created")


def test_amounts_outside_the_limits_are_rejected(tested: ProviderUnderTest) -> None:
    limits = tested.provider.charge_limits("eur")
    assert limits is not None

    def create(amount_minor: int) -> ProviderPayment:
        params = {**tested.params(), "amount": amount_minor}
        return tested.provider.create_payment(params, **tested.change_arguments())

    for refused in (limits.min_minor - 1, limits.max_minor + 1):
        with pytest.raises(RequestRejected) as rejected:
            create(refused)
        assert rejected.value.detail
    assert create(limits.min_minor).amount_minor == limits.min_minor
    assert create(limits.max_minor).amount_minor == limits.max_minor


def test_no_provider_charges_in_an_unknown_currency(tested: ProviderUnderTest) -> None:
    assert tested.provider.charge_limits("xyz") is None


@pytest.mark.parametrize("operation", READS)
def test_a_read_without_an_answer_is_an_error(tested: ProviderUnderTest, operation: str) -> None:
    payment = tested.make_created()
    tested.fail_next(operation, "reset_before")

    with pytest.raises(OutcomeUnknown):
        READS[operation](tested.provider, payment)


UNREADABLE = {
    "a page of HTML": CannedResponse("<html>Welcome</html>"),
    "a proxy's error": CannedResponse("<html>Bad gateway</html>", 502),
    "a redirection": CannedResponse("", 302),
    "JSON of another form": CannedResponse("{}"),
}


@pytest.mark.parametrize("response", UNREADABLE.values(), ids=UNREADABLE.keys())
@pytest.mark.parametrize("operation", [*CHANGES, *READS])
@pytest.mark.parametrize("tested", OVER_HTTP, ids=name_of, indirect=True)
def test_an_unreadable_answer_proves_nothing(
    tested: ProviderUnderTest, operation: str, response: CannedResponse, settings: Settings
) -> None:
    if operation in CHANGES:
        _, change = prepared(tested, operation)

        def call() -> object:
            return change(uuid4().hex)
    else:
        payment = tested.make_created()

        def call() -> object:
            return READS[operation](tested.provider, payment)

    with CannedServer() as server:
        server.answer = response
        setattr(settings, tested.address_setting, server.url)
        with pytest.raises(OutcomeUnknown) as error:
            call()

    assert len(server.requests) == 1
    assert error.value.replayed is False


def test_errors_are_payment_errors(tested: ProviderUnderTest) -> None:
    with pytest.raises(PaymentError):
        tested.confirm("pi_never_created")
