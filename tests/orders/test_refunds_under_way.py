"""Cancelled orders whose refund takes its time: they wait for it, and staff hear of a late one."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from prometheus_client import CollectorRegistry
from pytest_django import Settings

from invariants.checking import Strictness, check
from inventory.models import StockLevel
from monitoring.database_metrics import DatabaseMetrics
from orders.models import Order
from payments.models import Payment, Refund
from payments.provider_reconciliation import read_providers
from payments.states import PaymentStatus
from sagas.models import RunStatus, SagaRun, StepAttempt
from sagas.services import nudge, retry_now
from sagas.sweep import sweep
from sandbox.stripe_process import SandboxServer
from tests.support.clock import advance, database_time, move_to, play
from tests.support.in_memory_broker import MessageQueue, delivering_in_background
from tests.support.in_memory_provider.provider import AUTHENTICATING_DEBIT, CARD, PROVIDER
from tests.support.ledger_checks import assert_ledgers_agree
from tests.support.storefront_client import ORDERS, Storefront, cart
from tests.support.stripe_calls import call_options, last_call_number, provider

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("disconnected_threads"),
]

SLOW_REFUND: Final = "pm_card_pendingRefund"
REFUND_TIME: Final = timedelta(days=14)
EXTENSION: Final = timedelta(days=7)
LONGEST_LOOK: Final = timedelta(hours=6)
SECONDS_OF_A_REFUND: Final = 11 * 60


class Customer:
    """Has paid one order, and cancels it; its refund takes its time."""

    def __init__(
        self, storefront: Storefront, messages: MessageQueue, stripe: SandboxServer
    ) -> None:
        self.storefront = storefront
        self.messages = messages
        self.stripe = stripe
        self.order_id: Any = None

    def order(self) -> None:
        asked = cart(("MUG", 1), payment_method=SLOW_REFUND)
        self.order_id = self.storefront.order(asked).order_id

    def deliver(self) -> dict[str, Any]:
        self.messages.deliver_all()
        body: dict[str, Any] = self.storefront.get(f"{ORDERS}/{self.order_id}").body
        return body

    def look(self) -> dict[str, Any]:
        """Move to the next look at the refund, and return the order."""
        wake_at = self.run.wake_at
        assert wake_at is not None
        if wake_at > database_time():
            move_to(wake_at)
        sweep()
        return self.deliver()

    @property
    def wait_entry(self) -> dict[str, Any]:
        """The timeline's entry of the refund: only one, although two compensations may wait for it."""
        entries = self.storefront.get(f"{ORDERS}/{self.order_id}/timeline").body["entries"]
        [entry] = [entry for entry in entries if entry["code"].endswith(".pending")]
        return dict(entry)

    @property
    def run(self) -> SagaRun:
        """The run that returns the money."""
        return SagaRun.objects.latest("created_at")

    def is_flagged(self) -> bool:
        return self.run.needs_attention

    @property
    def refund(self) -> str:
        """The id of the refund at the provider."""
        [refund] = self.stripe.ledger()["refunds"]
        return str(refund["id"])


def by_cancellation(alice: Customer) -> None:
    """Cancel the order after its checkout has ended."""
    alice.order()
    alice.deliver()
    alice.storefront.cancel(alice.order_id)


def by_compensation(alice: Customer) -> None:
    """Cancel the order during the checkout: its money is taken, and we do not know it yet."""
    alice.stripe.add_fault("payment_intents.capture", "reset_after", times=1)
    alice.order()
    alice.deliver()
    alice.storefront.cancel(alice.order_id)


@pytest.fixture
def customer_of_stripe(
    storefront: Storefront, messages: MessageQueue, sandbox_stripe: SandboxServer
) -> Customer:
    sandbox_stripe.start_over()
    return Customer(storefront, messages, sandbox_stripe)


@pytest.fixture(params=[by_cancellation, by_compensation])
def alice(customer_of_stripe: Customer, request: pytest.FixtureRequest) -> Customer:
    """A customer whose cancelled order waits for its refund."""
    cancel: Callable[[Customer], None] = request.param
    cancel(customer_of_stripe)
    customer_of_stripe.deliver()
    return customer_of_stripe


def waiting_runs(alice: Customer) -> float | None:
    registry = CollectorRegistry()
    registry.register(DatabaseMetrics())
    return registry.get_sample_value("holdfast_runs_waiting", {"waits_for": "refund_pending"})


def test_a_cancelled_order_waits_for_its_refund(alice: Customer) -> None:
    order = alice.deliver()

    run = alice.run
    assert order["status"] == "cancelling"
    assert order["waiting_for"]["code"] == "refund_pending"
    assert order["waiting_for"]["message"] == (
        "We are waiting for your refund, which takes up to ten working days."
        " Otherwise the shop looks into it."
    )
    assert order["links"]["pay"] is None
    assert run.waiting_since is not None
    assert run.waiting_until is not None
    assert run.waiting_until - run.waiting_since == REFUND_TIME
    assert datetime.fromisoformat(order["waiting_for"]["until"]) == run.waiting_until
    assert (run.needs_attention, run.retry_count, run.leased_until) == (False, 0, None)
    assert waiting_runs(alice) == 1
    assert Refund.objects.get().status == "pending"
    # Its items are on sale again.
    assert StockLevel.objects.get(product__sku="MUG").reserved == 0
    assert StockLevel.objects.get(product__sku="MUG").on_hand == 5


def test_the_timeline_says_that_the_refund_is_under_way(alice: Customer) -> None:
    waiting = alice.wait_entry
    assert waiting["message"] == (
        "Waiting for your refund, which takes up to ten working days."
        " Otherwise the shop looks into it."
    )
    assert waiting["until"] == alice.deliver()["waiting_for"]["until"]


def test_an_order_is_cancelled_when_its_refund_has_arrived(alice: Customer) -> None:
    alice.stripe.advance(SECONDS_OF_A_REFUND)

    order = alice.look()

    assert (order["status"], order["waiting_for"]) == ("cancelled", None)
    assert Payment.objects.get().status == PaymentStatus.REFUNDED
    assert Refund.objects.get().status == "succeeded"
    assert_ledgers_agree(alice.stripe)


def test_an_order_that_waits_for_its_refund_takes_no_payment(alice: Customer) -> None:
    refused = alice.storefront.send(
        "POST",
        f"{ORDERS}/{alice.order_id}/payments",
        {"payment_method": "pm_card_visa"},
        {"Idempotency-Key": "1"},
    )

    assert refused.is_problem(409, "payment-not-awaited")
    assert Payment.objects.count() == 1


def test_a_nudge_looks_at_the_refund_at_once(alice: Customer) -> None:
    alice.stripe.advance(SECONDS_OF_A_REFUND)

    assert nudge(subject_ids=[alice.order_id]) == 1

    assert alice.deliver()["status"] == "cancelled"


def test_looks_at_the_refund_become_rare_and_flag_no_order(alice: Customer) -> None:
    alice.stripe.settle_refund(alice.refund, "wait")
    before = last_call_number(alice.stripe)

    play(database_time() + timedelta(days=3), alice.messages)

    assert alice.deliver()["waiting_for"]["code"] == "refund_pending"
    assert not alice.is_flagged()
    wake_at = alice.run.wake_at
    assert wake_at is not None
    assert database_time() < wake_at <= database_time() + LONGEST_LOOK
    # Every three to six hours, and ten before that; two compensations look, with two calls each.
    assert len(alice.stripe.calls(before)) <= 2 * 2 * (10 + 24)


def test_staff_are_called_when_a_refund_is_late(alice: Customer) -> None:
    alice.stripe.settle_refund(alice.refund, "wait")
    until = alice.run.waiting_until
    assert until is not None

    move_to(until - timedelta(minutes=1))
    alice.look()
    assert not alice.is_flagged()
    move_to(until)
    order = alice.look()

    run = alice.run
    assert (order["status"], order["waiting_for"]["code"]) == ("cancelling", "refund_pending")
    late = "your refund. It takes longer than usual, and the shop is looking into it."
    assert order["waiting_for"]["message"] == f"We are waiting for {late}"
    assert alice.wait_entry["message"] == f"Waiting for {late}"
    assert alice.wait_entry["until"] == order["waiting_for"]["until"]
    assert alice.is_flagged()
    assert run.attention_reason == (
        "Past its deadline, it still waits for the refund to arrive, which takes up to ten working"
        " days. Ask the payment provider where it is."
    )
    assert run.waiting_until is not None
    assert timedelta() <= run.waiting_until - EXTENSION - until < timedelta(minutes=1)

    alice.look()
    assert alice.is_flagged()

    alice.stripe.settle_refund(alice.refund, "succeed")
    assert alice.look()["status"] == "cancelled"
    assert (alice.wait_entry["message"], alice.wait_entry["until"]) == (
        "Waiting for your refund, which takes up to ten working days.",
        None,
    )
    assert not SagaRun.objects.filter(needs_attention=True).exists()
    assert_ledgers_agree(alice.stripe)


def test_a_refund_that_fails_is_no_longer_waited_for(alice: Customer) -> None:
    alice.stripe.settle_refund(alice.refund, "fail")

    order = alice.look()

    assert (order["status"], order["waiting_for"]["code"]) == ("cancelling", "shop_attention")
    assert waiting_runs(alice) == 0
    assert Refund.objects.get().status == "failed"
    assert alice.is_flagged()
    assert alice.run.attention_reason == (
        "The refund failed at the provider: the money did not reach the customer. Refund the payment"
        " again in the provider's dashboard, unless that was done. Then retry the order."
    )
    last = StepAttempt.objects.latest("ended_at")
    assert (last.outcome, last.error) == ("failed", "RefundFailed")


def broken(alice: Customer, strictness: Strictness = Strictness.ON_TIME) -> set[str]:
    """Return the codes of the invariants that the order breaks, compared with Stripe."""
    report = check(reading=read_providers(), grace=timedelta(), strictness=strictness)
    assert {finding.subject for finding in report.findings} <= {str(alice.order_id)}
    return {finding.code for finding in report.findings}


def test_a_failed_refund_breaks_no_invariant_while_staff_have_time_for_it(alice: Customer) -> None:
    alice.stripe.settle_refund(alice.refund, "fail")
    alice.look()
    assert broken(alice) == set()
    assert {"T6", "M13"} <= broken(alice, Strictness.AT_REST)

    play(database_time() + timedelta(hours=1), alice.messages)
    assert alice.is_flagged()
    assert broken(alice) == set()

    SagaRun.objects.update(needs_attention=False, attention_reason="")
    assert broken(alice) == {"T6"}

    alice.look()
    assert alice.is_flagged()
    advance(timedelta(days=3))
    alice.look()
    assert broken(alice) == {"M13"}


def shown_refund() -> tuple[str, str]:
    """Return the provider's id and the status of the refund that the desk shows."""
    refund = Refund.objects.get()
    return refund.provider_refund_id, refund.status


def test_a_refund_in_the_providers_dashboard_ends_a_failed_one(alice: Customer) -> None:
    alice.stripe.settle_refund(alice.refund, "fail")
    alice.look()
    payment = Payment.objects.get()
    second = provider.create_refund(
        str(payment.provider_payment_id),
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        metadata={},
        **call_options(),
    )

    retry_now(alice.run.pk)
    under_way = alice.look()
    assert (under_way["status"], under_way["waiting_for"]["code"]) == (
        "cancelling",
        "refund_pending",
    )
    assert not alice.is_flagged()
    assert shown_refund() == (second.id, "pending")
    assert broken(alice) == set()

    alice.stripe.settle_refund(second.id, "succeed")
    assert alice.look()["status"] == "cancelled"
    assert shown_refund() == (second.id, "succeeded")
    assert broken(alice, Strictness.AT_REST) == set()


def test_a_customer_whose_refund_failed_reads_that_the_shop_looks_into_it(alice: Customer) -> None:
    alice.stripe.settle_refund(alice.refund, "fail")
    while not alice.is_flagged():
        order = alice.look()
    entries = alice.storefront.get(f"{ORDERS}/{alice.order_id}/timeline").body["entries"]

    assert order["waiting_for"] == {
        "code": "shop_attention",
        "message": "This takes longer than usual: the shop is looking into your order.",
        "since": None,
        "until": None,
    }
    [failed] = [entry for entry in entries if entry["code"].endswith(".failed")]
    assert failed["message"] == (
        "Your money could not be returned yet: the shop is looking into it."
    )
    assert not [entry for entry in entries if "try again" in entry["message"]]


def test_a_refund_under_way_outlasts_an_outage(alice: Customer) -> None:
    until = alice.run.waiting_until
    alice.stripe.add_fault("*", "reset_before")
    alice.look()
    assert alice.run.waits_for == "refund_pending"

    alice.stripe.clear_faults()
    alice.look()

    assert (alice.run.waits_for, alice.run.waiting_until) == ("refund_pending", until)


def test_a_client_that_prefers_to_wait_is_answered_when_the_order_waits(
    customer_of_stripe: Customer,
) -> None:
    customer_of_stripe.order()
    customer_of_stripe.deliver()

    with delivering_in_background(customer_of_stripe.messages):
        cancelled = customer_of_stripe.storefront.cancel(
            customer_of_stripe.order_id, Prefer="wait=30"
        )

    assert cancelled.body["waiting_for"]["code"] == "refund_pending"


# -- a payment that was replaced by another one


@pytest.fixture
def replaced(storefront: Storefront, messages: MessageQueue, settings: Settings) -> Storefront:
    """A customer who pays by card, while the bank has just taken the money of the first payment."""
    settings.PAYMENT_PROVIDERS = ["tests.support.in_memory_provider"]
    settings.PAYMENT_GRACE = timedelta(minutes=15)
    PROVIDER.start_over()
    PROVIDER.state.has_slow_refunds = True
    order = storefront.order(cart(("MUG", 1), payment_method=AUTHENTICATING_DEBIT))
    messages.deliver_all()
    advance(timedelta(minutes=5))
    payment = Payment.objects.get()
    PROVIDER.authenticate(str(payment.provider_payment_id), "complete")
    storefront.send(
        "POST",
        f"{ORDERS}/{order.order_id}/payments",
        {"payment_method": CARD, "replaces": str(payment.pk)},
        {"Idempotency-Key": "1"},
    )
    messages.deliver_all()
    return storefront


def test_another_payment_waits_for_the_refund_of_the_first(
    replaced: Storefront, messages: MessageQueue
) -> None:
    run = SagaRun.objects.get()
    assert (run.waits_for, run.needs_attention) == ("earlier_refund_pending", False)
    assert run.waiting_since is not None
    assert run.waiting_until is not None
    # The refund extends no time: five minutes had passed.
    assert run.waiting_until - run.waiting_since <= timedelta(minutes=10)
    order_id = Order.objects.get().pk
    body = replaced.get(f"{ORDERS}/{order_id}").body
    assert body["waiting_for"]["message"] == (
        "We are waiting for the refund of your earlier payment. Otherwise the order is cancelled."
    )

    PROVIDER.advance(SECONDS_OF_A_REFUND)
    nudge(subject_ids=[order_id])
    messages.deliver_all()

    assert replaced.get(f"{ORDERS}/{order_id}").body["status"] == "confirmed"
    assert list(Payment.objects.order_by("created_at").values_list("status", flat=True)) == [
        PaymentStatus.REFUNDED,
        PaymentStatus.CAPTURED,
    ]


def test_an_order_that_could_not_be_paid_in_time_waits_for_that_refund_while_compensating(
    replaced: Storefront, messages: MessageQueue
) -> None:
    advance(timedelta(minutes=15))
    sweep()
    messages.deliver_all()

    run = SagaRun.objects.get()
    order = Order.objects.get()
    assert (run.status, run.waits_for) == (RunStatus.COMPENSATING, "refund_pending")
    assert (run.reason, run.reason_detail) == ("not_paid_in_time", "earlier_refund_pending")
    assert StockLevel.objects.get(product__sku="MUG").reserved == 0
    reason = replaced.get(f"{ORDERS}/{order.pk}").body["reason"]
    assert reason == "The order was not paid in time."
    entries = replaced.get(f"{ORDERS}/{order.pk}/timeline").body["entries"]
    [overdue] = [entry for entry in entries if entry["code"] == "authorize_payment.overdue"]
    assert overdue["message"] == reason

    PROVIDER.advance(SECONDS_OF_A_REFUND)
    nudge(subject_ids=[order.pk])
    messages.deliver_all()
    order.refresh_from_db()
    assert order.status == "cancelled"
    assert replaced.get(f"{ORDERS}/{order.pk}").body["reason"] == (
        "The order was not paid in time, because your earlier payment was not returned before."
        " It is returned now."
    )
