"""Orders that wait for their customer: 3-D Secure, and another payment after a decline."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import transaction
from pytest_django import Settings

from inventory.models import StockLevel
from orders.models import IdempotencyRecord, Order
from orders.services import pay_otherwise
from orders.steps import authorize_payment
from payments.errors import PaymentClosed
from payments.models import Payment
from payments.provider_types import ChargeLimits
from payments.states import PaymentStatus
from sagas.models import SagaRun
from sagas.services import lock_run
from sagas.sweep import sweep
from sagas.work import Remote
from sandbox.stripe_process import SandboxServer
from tests.support.clock import advance, database_time
from tests.support.database import wait_until_blocking
from tests.support.in_memory_broker import MessageQueue, delivering_in_background
from tests.support.in_memory_provider import provider as in_memory
from tests.support.ledger_checks import assert_ledgers_agree
from tests.support.paying_customer import ASKING, DECLINED, GOOD, GRACE, PayingCustomer
from tests.support.payment_attempts import FakeAttempt, mark_closing, prepared_payment
from tests.support.storefront_client import ORDERS, Storefront, cart
from tests.support.threads import start_thread

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("disconnected_threads"),
]


@pytest.fixture(autouse=True)
def grace(settings: Settings) -> None:
    settings.PAYMENT_GRACE = GRACE


@pytest.fixture
def alice(
    storefront: Storefront, messages: MessageQueue, sandbox_stripe: SandboxServer
) -> PayingCustomer:
    sandbox_stripe.start_over()
    return PayingCustomer(storefront, messages, sandbox_stripe)


def test_an_order_says_what_its_customer_has_to_do(alice: PayingCustomer) -> None:
    order = alice.order(ASKING)

    payment = Payment.objects.get()
    run = SagaRun.objects.get()
    assert order["status"] == "placed"
    assert order["waiting_for"]["code"] == "authentication_required"
    assert order["waiting_for"]["message"] == (
        "We are waiting for you to confirm the payment at your bank."
        " Otherwise the order is cancelled, and nothing is charged."
    )
    assert run.waiting_until is not None
    assert run.waiting_since is not None
    assert run.waiting_until - run.waiting_since == GRACE
    action = order["next_action"]
    assert action["type"] == "provider_sdk"
    assert action["client_secret"] == payment.client_secret
    assert payment.client_secret.startswith(str(payment.provider_payment_id))
    assert action["payment_id"] == str(payment.pk)
    assert action["until"] == order["waiting_for"]["until"]
    assert order["links"]["pay"] == f"{ORDERS}/{alice.order_id}/payments"
    assert StockLevel.objects.get(product__sku="MUG").reserved == 1


def test_an_authenticated_order_goes_on(alice: PayingCustomer) -> None:
    alice.order(ASKING)
    alice.authenticate("complete")

    order = alice.look()

    assert (order["status"], order["waiting_for"], order["next_action"]) == (
        "confirmed",
        None,
        None,
    )
    assert order["links"]["pay"] is None
    assert alice.intents == ["succeeded"]
    assert alice.payments == [PaymentStatus.CAPTURED]
    assert_ledgers_agree(alice.stripe)


def test_after_a_failed_authentication_the_customer_pays_by_another_card(
    alice: PayingCustomer,
) -> None:
    until = alice.order(ASKING)["waiting_for"]["until"]
    alice.authenticate("fail")
    waiting = alice.look()
    assert waiting["waiting_for"]["until"] == until
    assert waiting["waiting_for"]["code"] == "another_payment_needed"
    assert waiting["next_action"] is None

    paid = alice.pay(GOOD)
    order = alice.deliver()

    assert paid.status == 202
    assert order["status"] == "confirmed"
    assert alice.intents == ["canceled", "succeeded"]
    assert alice.payments == [PaymentStatus.VOIDED, PaymentStatus.CAPTURED]
    assert_ledgers_agree(alice.stripe)


def test_a_declined_order_keeps_its_stock_until_its_time_is_over(alice: PayingCustomer) -> None:
    order = alice.order(DECLINED)
    assert order["waiting_for"]["code"] == "another_payment_needed"
    assert StockLevel.objects.get(product__sku="MUG").reserved == 1

    advance(GRACE)
    sweep()
    ended = alice.deliver()

    assert (ended["status"], ended["reason_code"], ended["reason"]) == (
        "cancelled",
        "not_paid_in_time",
        "The order was not paid in time. You have not been charged.",
    )
    assert SagaRun.objects.get().reason_detail == "insufficient_funds"
    assert alice.intents == ["canceled"]
    assert StockLevel.objects.get(product__sku="MUG").reserved == 0
    assert_ledgers_agree(alice.stripe)


def test_a_decline_at_the_last_look_is_the_reason(alice: PayingCustomer) -> None:
    alice.order(ASKING)
    alice.authenticate("fail")

    advance(GRACE)
    sweep()
    ended = alice.deliver()

    assert (ended["status"], ended["reason_code"], ended["reason"]) == (
        "cancelled",
        "payment_declined",
        "The payment was not authenticated.",
    )
    assert_ledgers_agree(alice.stripe)


def test_an_abandoned_authentication_ends_with_its_time(alice: PayingCustomer) -> None:
    alice.order(ASKING)

    advance(GRACE)
    sweep()
    ended = alice.deliver()

    assert (ended["status"], ended["reason_code"], ended["reason"]) == (
        "cancelled",
        "authentication_abandoned",
        "You did not confirm the payment at your bank in time. You have not been charged.",
    )
    assert alice.intents == ["canceled"]
    assert Payment.objects.get().client_secret == ""
    assert_ledgers_agree(alice.stripe)


def test_another_decline_does_not_extend_the_time(alice: PayingCustomer) -> None:
    first = alice.order(DECLINED)["waiting_for"]["until"]

    alice.pay("pm_card_chargeDeclined")
    second = alice.deliver()

    assert second["waiting_for"]["until"] == first
    assert alice.intents == ["canceled", "requires_payment_method"]


def test_another_card_that_has_to_be_authenticated_gets_the_rest_of_the_time(
    alice: PayingCustomer,
) -> None:
    until = alice.order(DECLINED)["waiting_for"]["until"]

    alice.pay(ASKING)
    order = alice.deliver()

    second = Payment.objects.latest("created_at")
    assert order["waiting_for"]["code"] == "authentication_required"
    assert order["waiting_for"]["until"] == until
    assert order["next_action"]["payment_id"] == str(second.pk)
    assert order["next_action"]["client_secret"] == second.client_secret


def test_another_payment_must_be_able_to_charge_the_total(
    alice: PayingCustomer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice.order(DECLINED)
    settings.PAYMENT_PROVIDERS = [*settings.PAYMENT_PROVIDERS, "tests.support.in_memory_provider"]
    monkeypatch.setattr(in_memory, "LIMITS", ChargeLimits(1001, 5_000, 1))

    refused = alice.pay(in_memory.CARD)

    assert refused.is_problem(422, "invalid-request")
    assert refused.pointers == ["/payment_method"]
    assert len(alice.payments) == 1


def test_an_open_payment_is_replaced_only_if_it_is_named(alice: PayingCustomer) -> None:
    action = alice.order(ASKING)["next_action"]

    refused = alice.pay(GOOD)
    other = alice.pay(GOOD, replaces=str(uuid4()))
    assert refused.is_problem(409, "payment-in-progress")
    assert refused.body["payment_id"] == action["payment_id"]
    assert other.is_problem(409, "payment-in-progress")
    assert alice.payments == [PaymentStatus.PREPARED]

    accepted = alice.pay(GOOD, replaces=action["payment_id"])
    order = alice.deliver()

    assert accepted.status == 202
    assert order["status"] == "confirmed"
    assert alice.intents == ["canceled", "succeeded"]
    assert_ledgers_agree(alice.stripe)


def test_money_that_was_held_meanwhile_is_released_before_the_other_payment(
    alice: PayingCustomer,
) -> None:
    action = alice.order(ASKING)["next_action"]
    alice.authenticate("complete")  # and we have not heard of it

    alice.pay(GOOD, replaces=action["payment_id"])
    order = alice.deliver()

    assert order["status"] == "confirmed"
    assert alice.intents == ["canceled", "succeeded"]
    assert_ledgers_agree(alice.stripe)


def test_the_second_payment_is_created_only_after_the_first_is_cancelled(
    alice: PayingCustomer,
) -> None:
    alice.order(DECLINED)
    alice.stripe.add_fault("payment_intents.cancel", "error_before", times=1)

    alice.pay(GOOD)
    waiting = alice.deliver()
    assert waiting["status"] == "placed"
    assert alice.intents == ["requires_payment_method"]

    order = alice.look()
    assert order["status"] == "confirmed"
    assert alice.intents == ["canceled", "succeeded"]


def test_an_order_that_waits_for_no_payment_takes_none(alice: PayingCustomer) -> None:
    alice.order(GOOD)

    refused = alice.pay(GOOD)

    assert refused.is_problem(409, "payment-not-awaited")
    assert refused.body["order_status"] == "confirmed"
    assert alice.payments == [PaymentStatus.CAPTURED]


def test_a_payment_is_not_replaced_while_a_call_looks_at_it(alice: PayingCustomer) -> None:
    action = alice.order(ASKING)["next_action"]
    SagaRun.objects.update(leased_until=database_time() + timedelta(seconds=10))

    refused = alice.pay(GOOD, replaces=action["payment_id"])

    assert refused.is_problem(409, "payment-not-awaited")
    assert alice.payments == [PaymentStatus.PREPARED]
    assert Payment.objects.get().closing_since is None

    SagaRun.objects.update(leased_until=None)
    assert alice.pay(GOOD, replaces=action["payment_id"]).status == 202


def test_a_payment_that_is_closed_meanwhile_waits_for_no_other_one(db: None) -> None:
    payment = mark_closing(prepared_payment())
    assert isinstance(authorize_payment.action, Remote)

    with pytest.raises(PaymentClosed):
        authorize_payment.action.call(FakeAttempt(payment.order_id))


def test_paying_otherwise_locks_the_run_before_the_payments(alice: PayingCustomer) -> None:
    alice.order(DECLINED)
    with transaction.atomic():
        lock_run(alice.order_id)
        paid = start_thread(pay_otherwise, alice.order_id, GOOD)
        wait_until_blocking()
        assert Payment.objects.select_for_update(nowait=True).get().closing_since is None

    paid_by = paid.result()
    assert Payment.objects.latest("created_at").pk == paid_by


def test_the_number_of_payments_is_limited(alice: PayingCustomer, settings: Settings) -> None:
    settings.MAX_PAYMENTS_PER_ORDER = 1
    order = alice.order(ASKING)

    refused = alice.pay(GOOD, replaces=order["next_action"]["payment_id"])

    assert refused.is_problem(409, "too-many-payments")
    assert len(alice.payments) == 1
    assert alice.read()["waiting_for"]["code"] == "authentication_required"


def test_the_last_decline_that_is_allowed_cancels_the_order(
    alice: PayingCustomer, settings: Settings
) -> None:
    settings.MAX_PAYMENTS_PER_ORDER = 2
    first = alice.order(DECLINED)
    assert first["waiting_for"]["code"] == "another_payment_needed"

    alice.pay(DECLINED)
    order = alice.deliver()

    assert (order["status"], order["reason_code"]) == ("cancelled", "payment_declined")
    assert len(alice.payments) == 2


def test_a_repeated_request_pays_once(alice: PayingCustomer) -> None:
    alice.order(DECLINED)

    first, second = alice.pay(GOOD, "key"), alice.pay(GOOD, "key")
    alice.deliver()

    assert (first.status, second.status, second.is_replayed) == (202, 202, True)
    assert len(alice.payments) == 2


def test_a_stranger_sees_and_pays_nothing(alice: PayingCustomer, stranger: Storefront) -> None:
    alice.order(ASKING)
    path = f"{ORDERS}/{alice.order_id}"

    assert stranger.get(path).is_problem(404, "not-found")
    paid = stranger.send(
        "POST", f"{path}/payments", {"payment_method": GOOD}, {"Idempotency-Key": "1"}
    )
    assert paid.is_problem(404, "not-found")
    assert len(alice.payments) == 1


def test_a_client_that_prefers_to_wait_is_answered_when_the_order_waits(
    alice: PayingCustomer, messages: MessageQueue
) -> None:
    asking = cart(("MUG", 1), payment_method=ASKING)

    with delivering_in_background(messages):
        first, second = (alice.storefront.order(asking, "key", Prefer="wait=30") for _ in range(2))

    secret = Payment.objects.get().client_secret
    assert (first.status, second.status, second.is_replayed) == (202, 202, True)
    assert first.body["next_action"]["client_secret"] == secret
    assert second.body == first.body
    # The secret is not kept with the idempotency key.
    assert secret not in IdempotencyRecord.objects.get().response_body


def test_a_waiting_order_can_be_cancelled(alice: PayingCustomer, storefront: Storefront) -> None:
    alice.order(ASKING)

    storefront.cancel(alice.order_id)
    ended = alice.deliver()

    assert (ended["status"], ended["reason_code"]) == ("cancelled", "cancelled_by_customer")
    assert alice.intents == ["canceled"]
    assert_ledgers_agree(alice.stripe)


def test_without_a_grace_time_orders_end_at_once(alice: PayingCustomer, settings: Settings) -> None:
    settings.PAYMENT_GRACE = timedelta()

    asked, declined = alice.order(ASKING), alice.order(DECLINED)

    assert (asked["status"], declined["status"]) == ("cancelled", "cancelled")
    assert {order.reason for order in Order.objects.all()} == {"payment_declined"}
