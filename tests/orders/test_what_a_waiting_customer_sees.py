"""What customers and storefronts read about an order that waits for a payment, and what they can do."""

from datetime import timedelta

import pytest
from pytest_django import Settings

import sagas.services
from access.credentials import Scope
from access.links import new_link
from payments.models import Payment
from payments.states import PaymentStatus
from sagas.models import SagaRun
from sagas.pause_reasons import PauseReason
from sagas.sweep import sweep
from sandbox.stripe_process import SandboxServer
from tests.support.clock import advance, database_time
from tests.support.in_memory_broker import MessageQueue
from tests.support.ledger_checks import assert_ledgers_agree
from tests.support.paying_customer import ASKING, DECLINED, GOOD, GRACE, PayingCustomer
from tests.support.storefront_client import ORDERS, Storefront, cart

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("disconnected_threads"),
]

INSUFFICIENT_FUNDS = {
    "code": "insufficient_funds",
    "message": "Your card has insufficient funds.",
}


@pytest.fixture(autouse=True)
def grace(settings: Settings) -> None:
    settings.PAYMENT_GRACE = GRACE


@pytest.fixture
def alice(
    storefront: Storefront, messages: MessageQueue, sandbox_stripe: SandboxServer
) -> PayingCustomer:
    sandbox_stripe.start_over()
    return PayingCustomer(storefront, messages, sandbox_stripe)


# -- why a payment was declined


def test_an_order_says_which_payment_was_declined_and_why(alice: PayingCustomer) -> None:
    order = alice.order(DECLINED)

    assert order["payment"] == {
        "status": "declined",
        "id": str(Payment.objects.get().pk),
        "number": 1,
        "payment_method": DECLINED,
        "decline": INSUFFICIENT_FUNDS,
        "authorized_minor": 0,
        "captured_minor": 0,
        "refunded_minor": 0,
    }
    assert (order["reason"], order["reason_code"]) == ("", "")
    assert Payment.objects.get().status == PaymentStatus.PREPARED


def test_a_storefront_does_not_learn_that_a_card_is_stolen(alice: PayingCustomer) -> None:
    order = alice.order("pm_card_chargeDeclinedStolenCard")

    assert Payment.objects.get().decline_code == "stolen_card"
    assert order["payment"]["decline"] == {
        "code": "card_declined",
        "message": "Your card was declined.",
    }
    assert "stolen" not in str(order).replace(order["payment"]["payment_method"], "")


def test_each_payment_of_an_order_says_how_it_ended(alice: PayingCustomer) -> None:
    alice.order(DECLINED)
    alice.pay("pm_card_nobody_has")
    alice.deliver()
    alice.pay(GOOD)
    alice.deliver()

    payments = alice.read("?expand=payments")["payments"]

    assert [
        (payment["number"], payment["payment_method"], payment["status"], payment["decline"])
        for payment in payments
    ] == [
        (1, DECLINED, "voided", INSUFFICIENT_FUNDS),
        (
            2,
            "pm_card_nobody_has",
            "voided",
            {
                "code": "unknown_payment_method",
                "message": "This payment method does not exist.",
            },
        ),
        (3, GOOD, "captured", None),
    ]
    stored = Payment.objects.order_by("created_at").values_list("pk", flat=True)
    assert [payment["id"] for payment in payments] == [str(pk) for pk in stored]
    assert alice.read()["payment"]["number"] == 3


def test_a_payment_that_has_to_be_authenticated_says_so(alice: PayingCustomer) -> None:
    payment = alice.order(ASKING)["payment"]

    assert (payment["status"], payment["decline"]) == ("action_required", None)


# -- a payment that is being made


@pytest.mark.parametrize("card", [DECLINED, ASKING])
def test_an_order_that_is_being_paid_offers_no_other_payment(
    alice: PayingCustomer, card: str
) -> None:
    waiting = alice.order(card)
    accepted = alice.pay(GOOD, replaces=waiting["payment"]["id"])

    order = alice.read()
    refused = alice.pay(GOOD)
    again = alice.pay(GOOD, replaces=order["payment"]["id"])

    assert accepted.status == 202
    for body in (accepted.body, order):
        assert (body["waiting_for"], body["next_action"]) == (None, None)
        assert (body["links"]["pay"], body["links"]["check"]) == (None, None)
        assert (body["payment"]["status"], body["payment"]["number"]) == ("pending", 2)
        assert (body["payment"]["payment_method"], body["payment"]["decline"]) == (GOOD, None)
    for problem in (refused, again):
        assert problem.is_problem(409, "payment-not-awaited")
        assert problem.body["detail"] == (
            "A payment of this order is being made. Follow the order: it says if another one is"
            " needed."
        )
        assert "Retry-After" not in problem.headers
    assert len(alice.payments) == 2

    assert alice.deliver()["status"] == "confirmed"
    assert alice.intents == ["canceled", "succeeded"]
    assert_ledgers_agree(alice.stripe)


def test_a_payment_during_a_look_may_be_repeated(alice: PayingCustomer) -> None:
    alice.order(DECLINED)
    SagaRun.objects.update(leased_until=database_time() + timedelta(seconds=10))

    refused = alice.pay(GOOD, "key")

    assert refused.is_problem(409, "payment-not-awaited")
    assert refused.body["detail"].endswith("Repeat the request.")
    assert refused.headers["Retry-After"] == "1"
    SagaRun.objects.update(leased_until=None)
    assert alice.pay(GOOD, "key").status == 202


def test_a_refusal_says_what_to_do(alice: PayingCustomer, settings: Settings) -> None:
    settings.MAX_PAYMENTS_PER_ORDER = 1
    payment_id = alice.order(ASKING)["payment"]["id"]

    open_payment = alice.pay(GOOD).body["detail"]
    too_many = alice.pay(GOOD, replaces=payment_id).body["detail"]

    assert open_payment == (
        "The customer can still authenticate the open payment. Continue with `next_action` of the"
        " order, or repeat the request with `replaces` set to `payment_id`."
    )
    assert too_many == "An order may be paid 1 times. Cancel it, and place another one."


# -- the customer is back from their bank


def test_a_customer_who_is_back_is_noticed_at_once(alice: PayingCustomer) -> None:
    waiting = alice.order(ASKING)
    alice.authenticate("complete")
    assert waiting["links"]["check"] == f"{ORDERS}/{alice.order_id}/payments/check"

    checked = alice.check()
    again = alice.check()
    order = alice.deliver()

    for response in (checked, again):
        assert (response.status, response.headers["Retry-After"]) == (202, "1")
        assert response.headers["Location"] == f"{ORDERS}/{alice.order_id}"
        assert response.body["next_action"] == waiting["next_action"]
        assert response.body["items"][0]["sku"] == "MUG"
    assert order["status"] == "confirmed"
    assert alice.intents == ["succeeded"]
    assert_ledgers_agree(alice.stripe)


def test_a_customer_who_is_back_too_early_is_asked_again(alice: PayingCustomer) -> None:
    waiting = alice.order(ASKING)

    checked = alice.check()
    order = alice.deliver()

    assert checked.status == 202
    assert order["waiting_for"] == waiting["waiting_for"]
    assert order["next_action"] == waiting["next_action"]


def test_a_check_during_a_look_looks_again(alice: PayingCustomer) -> None:
    alice.order(ASKING)
    before = SagaRun.objects.get().nudge_count
    SagaRun.objects.update(leased_until=database_time() + timedelta(seconds=10))

    assert alice.check().status == 202

    assert SagaRun.objects.get().nudge_count == before + 1


@pytest.mark.parametrize("card", [DECLINED, GOOD])
def test_a_check_of_an_order_that_waits_for_no_authentication_asks_nothing(
    alice: PayingCustomer, card: str
) -> None:
    order = alice.order(card)
    before = SagaRun.objects.get().nudge_count

    checked = alice.check()

    assert checked.status == 200
    assert "Retry-After" not in checked.headers
    assert {name: checked.body[name] for name in order} == order
    assert order["links"]["check"] is None
    assert SagaRun.objects.get().nudge_count == before
    assert alice.messages.waiting == []


def test_a_caller_that_may_only_read_is_offered_no_payment(alice: PayingCustomer) -> None:
    waiting = alice.order(ASKING)
    link = new_link(alice.order_id, alice.storefront.customer, days=1, may_cancel=False)
    reader = Storefront(alice.storefront.customer, scopes=(Scope.READ,))

    bodies = (
        reader.get(f"{ORDERS}/{alice.order_id}").body,
        reader.get(f"/api/v1/guest/orders/{link.token()}").body,
    )

    assert waiting["next_action"] is not None
    for body in bodies:
        assert body["waiting_for"] == waiting["waiting_for"]
        assert (body["next_action"], body["can_cancel"]) == (None, False)
        offered = {name for name, address in body["links"].items() if address is not None}
        assert offered == {"self", "timeline", "events"}


def test_a_guest_can_say_that_they_are_back(alice: PayingCustomer, stranger: Storefront) -> None:
    alice.order(ASKING)
    alice.authenticate("complete")
    link = new_link(alice.order_id, alice.storefront.customer, days=1, may_cancel=True)

    path = f"/api/v1/guest/orders/{link.token()}"
    checked = stranger.send("POST", f"{path}/payments/check", {}, {"Authorization": ""})

    assert checked.status == 202
    assert checked.body["links"]["check"] == f"{path}/payments/check"
    assert alice.deliver()["status"] == "confirmed"


def test_a_stranger_checks_nothing(alice: PayingCustomer, stranger: Storefront) -> None:
    alice.order(ASKING)

    checked = stranger.send("POST", f"{ORDERS}/{alice.order_id}/payments/check", {})

    assert checked.is_problem(404, "not-found")
    assert SagaRun.objects.get().nudge_count == 0
    assert alice.messages.waiting == []


# -- offers that would not work


@pytest.mark.parametrize("card", [ASKING, DECLINED])
def test_a_paused_order_offers_nothing_until_it_is_resumed(
    alice: PayingCustomer, card: str
) -> None:
    waiting = alice.order(card)
    assert sagas.services.pause(alice.order_id, PauseReason.STAFF, "a check", "olga")

    paused = alice.read()
    refused = alice.pay(GOOD, replaces=waiting["payment"]["id"])
    checked = alice.check()

    assert paused["waiting_for"] == {
        "code": "shop_attention",
        "message": "This takes longer than usual: the shop is looking into your order.",
        "since": None,
        "until": None,
    }
    assert paused["next_action"] is None
    assert (paused["links"]["pay"], paused["links"]["check"]) == (None, None)
    assert refused.is_problem(409, "payment-not-awaited")
    assert refused.body["detail"] == (
        "The shop is looking into this order, and takes no payment meanwhile. Follow the order."
    )
    assert len(alice.payments) == 1
    assert checked.status == 200
    assert SagaRun.objects.get().nudge_count == 0

    sagas.services.resume(alice.order_id)
    resumed = alice.read()
    assert resumed["waiting_for"] == waiting["waiting_for"]
    assert resumed["links"] == waiting["links"]


@pytest.mark.parametrize(
    ("card", "then"),
    [
        (ASKING, "the order is cancelled, and nothing is charged"),
        (DECLINED, "the order is cancelled"),
    ],
)
def test_an_order_whose_time_is_over_offers_nothing(
    alice: PayingCustomer, card: str, then: str
) -> None:
    waiting = alice.order(card)
    assert waiting["links"]["pay"] is not None

    advance(GRACE)
    late = alice.read()

    assert late["waiting_for"]["code"] == waiting["waiting_for"]["code"]
    assert late["waiting_for"]["message"] == f"The time for this is over: {then}."
    assert late["next_action"] is None
    assert (late["links"]["pay"], late["links"]["check"]) == (None, None)

    sweep()
    assert alice.deliver()["status"] == "cancelled"


@pytest.mark.parametrize(
    ("messages_delivered", "shown"), [(0, ("placed", "shop_attention")), (1, ("confirmed", None))]
)
def test_an_order_that_staff_look_into_says_so_until_it_is_confirmed(
    storefront: Storefront,
    messages: MessageQueue,
    sandbox_stripe: SandboxServer,
    messages_delivered: int,
    shown: tuple[str, str | None],
) -> None:
    placed = storefront.order(cart(("MUG", 1)))
    for _ in range(messages_delivered):
        messages.deliver(messages.take())  # the capture waits
    SagaRun.objects.update(needs_attention=True)

    order = storefront.get(f"{ORDERS}/{placed.order_id}").body

    waiting_for = order["waiting_for"]
    assert (order["status"], waiting_for and waiting_for["code"]) == shown


# -- the timeline


def steps_of(alice: PayingCustomer) -> list[str]:
    """Return the messages of the payment step and of payments, oldest first."""
    return [
        entry["message"]
        for entry in alice.timeline
        if entry["code"].startswith("authorize_payment") or entry["kind"] == "payment"
    ]


AUTHENTICATION_AWAITED = "Waiting for you to confirm the payment at your bank."
OTHERWISE = " Otherwise the order is cancelled, and nothing is charged."
ANOTHER_AWAITED = "Your card has insufficient funds. Waiting for you to pay with another card."


def test_a_wait_is_one_entry_however_often_it_is_looked_at(alice: PayingCustomer) -> None:
    order = alice.order(ASKING)
    for _ in range(3):
        alice.look()

    [waiting] = [entry for entry in alice.timeline if entry["code"] == "authorize_payment.pending"]
    assert (waiting["message"], waiting["attempt"]) == (AUTHENTICATION_AWAITED + OTHERWISE, None)
    assert waiting["until"] == order["waiting_for"]["until"]
    assert waiting["at"] == order["waiting_for"]["since"]

    alice.authenticate("complete")
    alice.look()

    assert steps_of(alice) == [
        "Asking your bank to reserve the money: started.",
        AUTHENTICATION_AWAITED,
        "Asking your bank to reserve the money: done.",
        "Your bank has reserved the money.",
        "The payment has been taken.",
    ]
    assert {entry["until"] for entry in alice.timeline} == {None}


def test_a_look_that_fails_is_no_entry(alice: PayingCustomer) -> None:
    alice.order(ASKING)
    alice.stripe.add_fault("payment_intents.retrieve", "error_before", times=1)
    alice.look()

    assert steps_of(alice) == [
        "Asking your bank to reserve the money: started.",
        AUTHENTICATION_AWAITED + OTHERWISE,
    ]


def test_another_payment_is_an_entry_of_its_own(alice: PayingCustomer) -> None:
    alice.order(DECLINED)
    assert steps_of(alice)[-1] == f"{ANOTHER_AWAITED} Otherwise the order is cancelled."
    alice.pay(DECLINED)
    assert steps_of(alice)[-2:] == [ANOTHER_AWAITED, "You chose another way to pay."]
    alice.deliver()
    alice.pay(GOOD)
    alice.deliver()

    asked = "Asking your bank to reserve the money: started."
    cancelled = "The payment is cancelled: no money is held."
    another = "You chose another way to pay."
    assert steps_of(alice) == [
        *(asked, ANOTHER_AWAITED, another),
        *(asked, cancelled, ANOTHER_AWAITED, another),
        *(asked, cancelled, "Asking your bank to reserve the money: done."),
        "Your bank has reserved the money.",
        "The payment has been taken.",
    ]


def test_an_abandoned_authentication_was_not_refused(alice: PayingCustomer) -> None:
    alice.order(ASKING)
    advance(GRACE)
    sweep()
    alice.deliver()

    [overdue] = [entry for entry in alice.timeline if entry["code"] == "authorize_payment.overdue"]
    assert overdue["message"] == "You did not confirm the payment at your bank in time."
    assert not [entry for entry in alice.timeline if "refused" in entry["message"]]


def test_past_the_time_to_pay_otherwise_the_order_was_not_paid_and_not_refused(
    alice: PayingCustomer,
) -> None:
    alice.order(DECLINED)
    advance(GRACE)
    sweep()
    alice.deliver()

    assert steps_of(alice) == [
        "Asking your bank to reserve the money: started.",
        ANOTHER_AWAITED,
        "The order was not paid in time.",
        "The payment is cancelled: no money is held.",
    ]
    [overdue] = [entry for entry in alice.timeline if entry["code"] == "authorize_payment.overdue"]
    assert (overdue["message"], overdue["until"]) == ("The order was not paid in time.", None)
