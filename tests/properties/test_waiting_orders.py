"""Random histories of orders that wait: for an authentication, another payment, or a review.

All that happens to other orders happens to these too; see ``test_orders``.
"""

from datetime import timedelta
from typing import Final
from uuid import uuid4

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test
from pytest_django import Settings

import approvals.services
import sagas.services
from approvals.models import Approval
from approvals.states import ApprovalStatus, DecidedVia, Decision
from orders.states import OrderStatus
from payments.models import Payment
from tests.properties.test_orders import OrdersMachine, numbers
from tests.support.example_counts import effort
from tests.support.order_model import ASKING_CARD, REVIEW_ABOVE_MINOR, WaitingOrderModel
from tests.support.provider_ledger import intents_for
from tests.support.storefront_client import ORDERS
from tests.support.worker_harness import WorkerHarness
from tests.support.worker_threads import Fault, Moment, Outcome

DECLINED: Final = "pm_card_chargeDeclinedInsufficientFunds"
GRACE: Final = timedelta(minutes=15)
REVIEW_TIME: Final = timedelta(hours=24)
DEADLINES: Final = 3
"""An order may wait for its customer, then for its review; before both its last call may fail."""

asking_cards = st.sampled_from([ASKING_CARD, ASKING_CARD, DECLINED])
other_cards = st.sampled_from(
    ["pm_card_visa", "pm_card_visa", "pm_card_visa", ASKING_CARD, DECLINED]
)
moves = st.sampled_from([timedelta(minutes=1), GRACE, REVIEW_TIME])


class WaitingOrdersMachine(OrdersMachine):
    """One history of a shop whose customers can pay later, and which reviews large orders."""

    model = WaitingOrderModel

    @rule(card=asking_cards, mugs=st.integers(1, 3))
    def place_with_a_card_that_asks_or_declines(self, card: str, mugs: int) -> None:
        self.place(card=card, mugs=mugs, tees=0)

    @rule(number=numbers, result=st.sampled_from(["complete", "complete", "fail"]))
    def authenticate(self, number: int, result: str) -> None:
        """The customer ends what their bank waits for: also of a payment that was replaced."""
        order = self.waiting_order(number)
        newest = Payment.objects.filter(order_id=order.order_id).order_by("pk").last()
        for intent in intents_for(self.harness.sandbox_stripe.ledger(), order.order_id):
            if intent["status"] != "requires_action":
                continue
            self.harness.sandbox_stripe.authenticate(intent["id"], result)
            if newest is not None and newest.provider_payment_id == intent["id"]:
                order.is_authenticated = result == "complete"

    @rule(number=numbers, card=other_cards, replaces=st.booleans())
    def pay_otherwise(self, *, number: int, card: str, replaces: bool) -> None:
        order = self.waiting_order(number)
        body = {"payment_method": card}
        still_open = Payment.objects.filter(order_id=order.order_id, closing_since__isnull=True)
        if replaces and (payment := still_open.first()) is not None:
            body["replaces"] = str(payment.pk)
        path, key = f"{ORDERS}/{order.order_id}/payments", {"Idempotency-Key": uuid4().hex}
        response = self.harness.storefront.send("POST", path, body, key)
        assert response.status in (202, 409), response
        if response.status == 202:
            order.pay_otherwise(card)
        self.harness.broker.collect()

    @rule(number=numbers)
    def nudge(self, number: int) -> None:
        sagas.services.nudge(subject_ids=[self.order(number).order_id])
        self.harness.broker.collect()

    @rule(number=numbers, decision=st.sampled_from([*Decision]))
    def decide(self, number: int, decision: Decision) -> None:
        order = self.waiting_order(number)
        approval = Approval.objects.filter(subject_id=order.order_id).first()
        if approval is None:
            return
        decided = approvals.services.decide(
            approval.pk, decision, actor="olga", via=DecidedVia.DESK
        )
        assert decided.decided_now == (approval.status == ApprovalStatus.OPEN)
        if decided.decided_now:
            order.decision = decision.value
        self.harness.broker.collect()

    @rule(duration=moves)
    def move_the_clock_and_sweep(self, duration: timedelta) -> None:
        """Looks and deadlines come due, for all processes at once."""
        self.harness.move_clock(duration)
        self.harness.sweep()

    def waiting_order(self, number: int) -> WaitingOrderModel:
        return self.waiting(self.order(number))

    def teardown(self) -> None:
        """After every deadline each order has ended, and no approval is open."""
        if self.models:
            self.harness.heal()
            for _ in range(DEADLINES):
                self.harness.pass_time(REVIEW_TIME)
                self.harness.recover()
                self.assert_safe()
        super().teardown()
        reviewed = Approval.objects.values_list("subject_id", "status")
        approved = {subject for subject, status in reviewed if status == ApprovalStatus.APPROVED}
        assert ApprovalStatus.OPEN not in {status for _, status in reviewed}
        for model in self.models:
            if model.seen is OrderStatus.CONFIRMED and self.waiting(model).is_reviewed:
                assert model.order_id in approved

    @staticmethod
    def waiting(model: object) -> WaitingOrderModel:
        assert isinstance(model, WaitingOrderModel)
        return model


def waiting_orders_machine(harness: WorkerHarness) -> type[WaitingOrdersMachine]:
    """Return the state machine of one shop."""
    return type("WaitingOrdersMachineOnHarness", (WaitingOrdersMachine,), {"harness": harness})


def let_orders_wait(settings: Settings) -> None:
    """Set the settings with which orders wait for their customers and for reviews."""
    settings.PAYMENT_GRACE = GRACE
    settings.REVIEW_ABOVE_MINOR = REVIEW_ABOVE_MINOR


def test_in_any_history_every_order_that_waits_is_safe_and_ends(
    harness: WorkerHarness, settings: Settings
) -> None:
    let_orders_wait(settings)

    run_state_machine_as_test(
        waiting_orders_machine(harness), settings=effort(examples=6, steps=30)
    )


def pay_otherwise_during_a_look(harness: WorkerHarness) -> WaitingOrdersMachine:
    """Play one history: a call looks at a payment that is paid, and its customer pays otherwise."""
    machine = waiting_orders_machine(harness)()
    machine.open(stock=(12, 9), first_orders=[(ASKING_CARD, 1, 0)])
    machine.deliver(number=0)
    machine.authenticate(number=0, result="complete")
    machine.nudge(number=0)
    harness.deliver(harness.broker.take(0), Fault(Moment.AFTER_CALL, 1, Outcome.SLEEPS))
    machine.pay_otherwise(number=0, card="pm_card_visa", replaces=True)
    machine.wake(number=0)
    return machine


def deliver_all_and_check(machine: WaitingOrdersMachine) -> None:
    machine.assert_safe()
    while machine.has_messages():
        machine.deliver(number=0)
        machine.assert_safe()


def test_a_payment_is_not_replaced_while_a_call_looks_at_it(
    harness: WorkerHarness, settings: Settings
) -> None:
    let_orders_wait(settings)

    machine = pay_otherwise_during_a_look(harness)

    deliver_all_and_check(machine)
    machine.teardown()
    [order] = machine.models
    assert order.seen is OrderStatus.CONFIRMED
    assert machine.waiting(order).later_cards == []


def test_a_payment_that_is_replaced_while_a_call_looks_at_it_is_found(
    harness: WorkerHarness, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_orders_wait(settings)
    monkeypatch.setattr(sagas.services, "is_calling", lambda _: False)

    machine = pay_otherwise_during_a_look(harness)

    with pytest.raises(AssertionError, match="payment_declined"):
        deliver_all_and_check(machine)
