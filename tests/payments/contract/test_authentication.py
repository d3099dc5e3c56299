"""What every provider promises of a payment whose customer has to authenticate."""

from dataclasses import replace
from uuid import uuid4

import pytest
from django.db import transaction
from pytest_django import Settings

from payments import services
from payments.errors import (
    AuthenticationRequired,
    OutcomeUnknown,
    PaymentClosed,
    PaymentDeclined,
    WrongStatus,
)
from payments.models import Payment
from payments.provider_types import CustomerAction, ProviderPayment, ProviderPaymentStatus
from payments.services import PendingAction
from sagas.errors import LeaseLost
from sagas.identifiers import new_id
from tests.payments.contract.providers import (
    AMOUNT,
    AUTHENTICATES,
    TAKES_AT_ONCE,
    ProviderUnderTest,
    name_of,
    within,
)
from tests.payments.contract.test_money_protocol import (
    CANCELLED,
    HELD,
    RETURNED,
    TAKEN,
    authorize,
    capture,
    close,
    payment_by,
    payment_states,
)
from tests.support.payment_attempts import REPEATED_ATTEMPT, mark_closing
from tests.support.threads import start_thread
from tests.support.waits import wait_until

authenticates = pytest.mark.parametrize("tested", AUTHENTICATES, ids=name_of, indirect=True)

RETURN_URL = "https://shop.example/paid"
WAITING = ("requires_action", 0, 0, 0)


def waits(payment: ProviderPayment) -> bool:
    """Return whether a payment waits for its customer, has what they need, and holds nothing."""
    return (
        payment.status is ProviderPaymentStatus.REQUIRES_ACTION
        and payment.next_action is not None
        and 0 < len(payment.client_secret) <= 255
        and (payment.held_minor, payment.captured_minor) == (0, 0)
    )


def shows_no_action(payment: ProviderPayment) -> bool:
    return (payment.next_action, payment.client_secret) == (None, "")


# -- operation by operation ----------------------------------------------------------------------


@authenticates
def test_a_payment_whose_customer_must_authenticate_waits(tested: ProviderUnderTest) -> None:
    created = tested.make_created(tested.authenticating_card)

    payment = tested.confirm(created.id)

    assert shows_no_action(created)
    assert waits(payment)
    assert payment.decline_code == ""
    assert tested.retrieve(payment.id) == payment
    listed = tested.provider.list_payments(created_from=payment.created_at, deadline=within())
    assert next(found for found in listed if found.id == payment.id) == payment


@authenticates
def test_the_action_is_a_redirection_if_there_is_a_way_back(tested: ProviderUnderTest) -> None:
    actions = []
    for return_url in ("", RETURN_URL):
        params = tested.params(tested.authenticating_card, return_url=return_url)
        created = tested.provider.create_payment(params, **tested.change_arguments())
        confirmed = tested.provider.confirm_payment(created.id, params, **tested.change_arguments())
        assert confirmed.next_action is not None
        actions.append(confirmed.next_action)

    assert actions[0] == CustomerAction("provider_sdk", "")
    assert actions[1].type == "redirect"
    assert actions[1].url.startswith(("http://", "https://"))


@authenticates
def test_secret_and_address_are_not_in_the_representation(tested: ProviderUnderTest) -> None:
    payment = replace(tested.make_waiting(), next_action=CustomerAction("redirect", "https://x.y"))

    assert payment.client_secret not in repr(payment)
    assert "https://x.y" not in repr(payment)


@authenticates
def test_a_completed_authentication_holds_the_money(tested: ProviderUnderTest) -> None:
    payment = tested.make_waiting()

    tested.authenticate(payment.id, "complete")

    found = tested.retrieve(payment.id)
    assert (found.status, found.held_minor) == (ProviderPaymentStatus.AUTHORIZED, AMOUNT)
    assert shows_no_action(found)


@authenticates
@pytest.mark.parametrize(
    ("method", "result", "code"),
    [
        ("authenticating_card", "fail", "authentication_failed"),
        ("authenticating_declined_card", "complete", None),
    ],
)
def test_a_failed_authentication_and_a_decline_after_it_hold_nothing(
    tested: ProviderUnderTest, method: str, result: str, code: str | None
) -> None:
    payment = tested.make_authorized(getattr(tested, method))

    tested.authenticate(payment.id, result)

    found = tested.retrieve(payment.id)
    assert (found.status, found.held_minor) == (ProviderPaymentStatus.DECLINED, 0)
    assert found.decline_code == code or (code is None and 0 < len(found.decline_code) <= 64)
    assert shows_no_action(found)


@authenticates
def test_the_same_key_repeats_the_first_result_and_only_reading_shows_the_end(
    tested: ProviderUnderTest,
) -> None:
    payment_id, key = tested.make_created(tested.authenticating_card).id, uuid4().hex
    first = tested.confirm(payment_id, key)
    tested.authenticate(payment_id, "complete")

    again = tested.confirm(payment_id, key)

    assert again == first
    assert tested.retrieve(payment_id).status is ProviderPaymentStatus.AUTHORIZED


@authenticates
def test_another_key_asks_the_customer_again(tested: ProviderUnderTest) -> None:
    payment = tested.make_waiting()

    again = tested.confirm(payment.id)

    assert waits(again)
    assert tested.retrieve(payment.id) == again
    tested.authenticate(payment.id, "complete")
    assert tested.retrieve(payment.id).held_minor == AMOUNT


@authenticates
def test_reading_returns_the_action_of_a_lost_answer(tested: ProviderUnderTest) -> None:
    payment_id, key = tested.make_created(tested.authenticating_card).id, uuid4().hex
    tested.fail_next("confirm_payment", "reset_after")
    with pytest.raises(OutcomeUnknown):
        tested.confirm(payment_id, key)

    found = tested.retrieve(payment_id)

    assert waits(found)
    assert tested.confirm(payment_id, key) == found


@authenticates
def test_a_cancelled_payment_can_never_be_authenticated(tested: ProviderUnderTest) -> None:
    payment = tested.make_waiting()

    cancelled = tested.provider.cancel_payment(payment.id, **tested.change_arguments())

    assert cancelled.status is ProviderPaymentStatus.CANCELLED
    assert shows_no_action(cancelled)
    with pytest.raises(Exception, match=f"{payment.id} is cancell?ed"):
        tested.authenticate(payment.id, "complete")
    with pytest.raises(WrongStatus):
        tested.confirm(payment.id)
    assert tested.retrieve(payment.id) == cancelled


# -- authorizing and closing ---------------------------------------------------------------------


@pytest.fixture
def own_installation(settings: Settings, transactional_db: None) -> None:
    settings.INSTALLATION_ID = str(new_id())


def require_authentication(payment: Payment, number: int = 1) -> AuthenticationRequired:
    with pytest.raises(AuthenticationRequired) as required:
        authorize(payment, number)
    payment.refresh_from_db()
    return required.value


def provider_id(payment: Payment) -> str:
    payment.refresh_from_db()
    return str(payment.provider_payment_id)


def is_forgotten(payment: Payment) -> bool:
    """Return whether the row has nothing for the storefront any more."""
    payment.refresh_from_db()
    return (
        payment.next_action is None
        and payment.client_secret == ""
        and services.customer_action(payment.order_id) is None
    )


@authenticates
@pytest.mark.usefixtures("own_installation")
@pytest.mark.parametrize("return_url", ["", RETURN_URL])
def test_what_the_storefront_needs_is_stored_and_returned(
    tested: ProviderUnderTest, settings: Settings, return_url: str
) -> None:
    settings.PAYMENT_RETURN_URL = return_url
    payment = payment_by(tested.authenticating_card)
    assert services.customer_action(payment.order_id) is None

    required = require_authentication(payment)

    at_provider = tested.retrieve(provider_id(payment))
    assert (required.code, required.detail) == (
        "authentication_required",
        "authentication_required",
    )
    assert required.payment == at_provider
    assert at_provider.next_action is not None
    assert services.customer_action(payment.order_id) == PendingAction(
        at_provider.next_action, at_provider.client_secret, payment.pk
    )
    assert at_provider.next_action.type == ("redirect" if return_url else "provider_sdk")
    assert payment.next_action == {
        "type": at_provider.next_action.type,
        "url": at_provider.next_action.url,
    }
    assert at_provider.client_secret not in repr(services.customer_action(payment.order_id))
    assert payment_states() == [WAITING]


@authenticates
@pytest.mark.usefixtures("own_installation")
def test_a_later_attempt_finds_the_completed_authentication(tested: ProviderUnderTest) -> None:
    payment = payment_by(tested.authenticating_card)
    require_authentication(payment)
    require_authentication(payment, REPEATED_ATTEMPT)
    tested.authenticate(provider_id(payment), "complete")

    assert authorize(payment, 3)["status"] == "authorized"
    with transaction.atomic():
        services.record_authorizations([payment.order_id])

    assert is_forgotten(payment)
    assert payment_states() == [HELD]
    capture(payment)
    assert payment_states() == [TAKEN]


@authenticates
@pytest.mark.usefixtures("own_installation")
@pytest.mark.parametrize(
    ("method", "result"),
    [("authenticating_card", "fail"), ("authenticating_declined_card", "complete")],
)
def test_a_later_attempt_finds_the_decline(
    tested: ProviderUnderTest, method: str, result: str
) -> None:
    payment = payment_by(getattr(tested, method))
    require_authentication(payment)
    tested.authenticate(provider_id(payment), result)

    with pytest.raises(PaymentDeclined) as declined:
        authorize(payment, REPEATED_ATTEMPT)

    assert declined.value.decline_code == tested.retrieve(provider_id(payment)).decline_code
    assert declined.value.code == "payment_declined"
    assert is_forgotten(payment)


@authenticates
@pytest.mark.usefixtures("own_installation")
@pytest.mark.parametrize("fault", ["reset_before", "reset_after", "error_after"])
def test_the_next_attempt_finds_the_action_of_a_lost_confirmation(
    tested: ProviderUnderTest, fault: str
) -> None:
    payment = payment_by(tested.authenticating_card)
    tested.fail_next("confirm_payment", fault)
    with pytest.raises(OutcomeUnknown):
        authorize(payment)
    assert is_forgotten(payment)

    require_authentication(payment, REPEATED_ATTEMPT)

    assert services.customer_action(payment.order_id) is not None
    assert payment_states() == [WAITING]


@authenticates
@pytest.mark.usefixtures("own_installation")
def test_a_late_worker_stores_no_action(tested: ProviderUnderTest) -> None:
    payment = payment_by(tested.authenticating_card)
    checkpoints: list[str] = []

    def lose_the_lease() -> None:
        checkpoints.append("id" if not checkpoints else "action")
        if checkpoints[-1] == "action":
            raise LeaseLost(payment.order_id, 1)

    with pytest.raises(LeaseLost):
        authorize(payment, meanwhile=lose_the_lease)

    assert checkpoints == ["id", "action"]
    assert is_forgotten(payment)


@authenticates
@pytest.mark.usefixtures("own_installation")
def test_a_payment_closed_during_its_confirmation_stores_no_action(
    tested: ProviderUnderTest,
) -> None:
    payment = payment_by(tested.authenticating_card)

    def close_after_the_id_is_stored() -> None:
        if Payment.objects.get().provider_payment_id:
            mark_closing(payment)

    with pytest.raises(PaymentClosed):
        authorize(payment, meanwhile=close_after_the_id_is_stored)

    assert is_forgotten(payment)
    assert close(payment) == "voided"
    assert payment_states() == [CANCELLED]


@authenticates
@pytest.mark.usefixtures("own_installation")
def test_closing_a_waiting_payment_cancels_it(tested: ProviderUnderTest) -> None:
    payment = payment_by(tested.authenticating_card)
    require_authentication(payment)

    mark_closing(payment)

    assert is_forgotten(payment)
    assert close(payment) == "voided"
    assert payment_states() == [CANCELLED]


@authenticates
@pytest.mark.usefixtures("own_installation")
def test_money_held_while_the_cancel_is_under_way_is_released(tested: ProviderUnderTest) -> None:
    payment = payment_by(tested.authenticating_card)
    require_authentication(payment)
    mark_closing(payment)
    held = tested.hold_next("cancel_payment")
    closing = start_thread(close, payment)
    wait_until(held.has_arrived)

    try:
        tested.authenticate(provider_id(payment), "complete")
        assert payment_states() == [HELD]
    finally:
        held.release()

    assert closing.result() == "voided"
    assert payment_states() == [CANCELLED]


@pytest.mark.usefixtures("own_installation")
@pytest.mark.parametrize("tested", TAKES_AT_ONCE, ids=name_of, indirect=True)
def test_money_taken_while_the_cancel_is_under_way_is_refunded(tested: ProviderUnderTest) -> None:
    payment = payment_by(tested.authenticating_debit)
    require_authentication(payment)
    mark_closing(payment)
    held = tested.hold_next("cancel_payment")
    closing = start_thread(close, payment)
    wait_until(held.has_arrived)

    try:
        tested.authenticate(provider_id(payment), "complete")
        assert payment_states() == [TAKEN]
    finally:
        held.release()

    assert closing.result() == "refunded"
    assert payment_states() == [RETURNED]


@authenticates
@pytest.mark.usefixtures("own_installation")
def test_money_captured_before_closing_is_refunded(tested: ProviderUnderTest) -> None:
    payment = payment_by(tested.authenticating_card)
    require_authentication(payment)
    tested.authenticate(provider_id(payment), "complete")
    tested.provider.capture_payment(
        provider_id(payment), amount_minor=AMOUNT, currency="eur", **tested.change_arguments()
    )
    mark_closing(payment)

    assert close(payment) == "refunded"

    assert is_forgotten(payment)
    assert payment_states() == [RETURNED]


@authenticates
@pytest.mark.usefixtures("own_installation")
def test_the_changed_return_url_of_a_later_deployment_changes_no_repetition(
    tested: ProviderUnderTest, settings: Settings
) -> None:
    settings.PAYMENT_RETURN_URL = RETURN_URL
    payment = payment_by(tested.authenticating_card)
    first = require_authentication(payment).payment
    settings.PAYMENT_RETURN_URL = "https://other.example/"

    again = tested.provider.confirm_payment(
        provider_id(payment),
        payment.params,
        key=payment.idempotency_key("confirm"),
        api_version=payment.api_version,
        deadline=within(),
    )

    assert again == first
    require_authentication(payment, REPEATED_ATTEMPT)
