"""Random histories of whole orders: requests, messages, crashes, failures and sweeps in any order."""

from datetime import timedelta
from typing import ClassVar, Final
from uuid import uuid4

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from invariants.checking import Strictness, check
from inventory.models import StockLevel
from inventory.services import receive
from orders.models import Order
from orders.states import OrderStatus
from sagas.models import LIVE, SagaRun, StepAttempt
from sagas.services import retry_now
from tests.support import safety_checks
from tests.support.example_counts import effort
from tests.support.ledger_checks import our_rows
from tests.support.order_model import BAD_CARDS, GOOD_CARDS, OrderModel
from tests.support.provider_ledger import money_by_order, reading_of
from tests.support.shop import PRICES_MINOR
from tests.support.storefront_client import cart
from tests.support.worker_harness import WorkerHarness
from tests.support.worker_threads import Fault, Moment, Outcome, State

ROUNDS: Final = 50
"""Every run must end within this many rounds, once nothing fails any more."""

A_LEASE: Final = timedelta(seconds=11)

numbers = st.integers(0, 5)
cards = st.sampled_from([*GOOD_CARDS * 8, *BAD_CARDS])
durations = st.sampled_from(
    [timedelta(seconds=seconds) for seconds in (1, 5, 11, 31, 65, 301, 3600, 26 * 3600)]
)
at_commits = st.builds(
    Fault,
    st.sampled_from([Moment.BEFORE_COMMIT, Moment.AFTER_COMMIT]),
    st.sampled_from([1, 1, 2, 2, 3, 4]),
    st.just(Outcome.DIES),
)
call_moments = st.sampled_from([Moment.BEFORE_CALL, Moment.AFTER_CALL])
call_numbers = st.sampled_from([1, 1, 1, 2, 2, 3])
at_calls = st.builds(Fault, call_moments, call_numbers, st.sampled_from(Outcome))
long_sleeps = st.builds(Fault, call_moments, call_numbers, st.just(Outcome.SLEEPS))
operations = st.sampled_from(
    [
        *("payment_intents.create", "payment_intents.confirm", "payment_intents.capture"),
        *("payment_intents.cancel", "payment_intents.retrieve"),
        *("refunds.create", "refunds.list", "*"),
    ]
)
faults = st.sampled_from(
    [
        *("error_before", "error_after", "rate_limit", "lock_timeout", "conflict"),
        *("reset_before", "reset_after", "truncated_body"),
    ]
)


class OrdersMachine(RuleBasedStateMachine):
    """One history of a shop. In any history each order is safe at every step, and ends."""

    harness: ClassVar[WorkerHarness]
    model: ClassVar[type[OrderModel]] = OrderModel

    def __init__(self) -> None:
        super().__init__()
        self.models: list[OrderModel] = []
        self.available: dict[str, int] = {}

    @initialize(
        stock=st.tuples(st.integers(1, 12), st.integers(0, 9)),
        first_orders=st.lists(
            st.tuples(cards, st.integers(1, 3), st.integers(0, 2)), min_size=3, max_size=3
        ),
    )
    def open(self, stock: tuple[int, int], first_orders: list[tuple[str, int, int]]) -> None:
        self.harness.open(stock)
        for card, mugs, tees in first_orders:
            self.place(card=card, mugs=mugs, tees=tees)

    # -- the customer --------------------------------------------------------------------------

    @rule(
        card=cards,
        mugs=st.integers(1, 3),
        tees=st.integers(0, 2),
    )
    def place(self, card: str, mugs: int, tees: int) -> None:
        quantities = {sku: count for sku, count in (("MUG", mugs), ("TEE", tees)) if count}
        body, key = cart(*quantities.items(), payment_method=card), uuid4().hex
        response = self.harness.storefront.order(body, key)
        assert response.status == 202
        total = sum(PRICES_MINOR[sku] * count for sku, count in quantities.items())
        self.models.append(self.model(response.order_id, key, body, total))
        self.harness.broker.collect()

    @rule(number=numbers, is_other=st.booleans())
    def use_a_key_again(self, *, number: int, is_other: bool) -> None:
        order = self.order(number)
        if is_other:
            response = self.harness.storefront.order(cart(("MUG", 77)), order.key)
            assert response.is_problem(422, "idempotency-key-reused")
            return
        response = self.harness.storefront.order(order.body, order.key)
        assert (response.status, response.order_id) == (202, order.order_id)
        assert response.is_replayed

    @rule(number=numbers)
    def cancel(self, number: int) -> None:
        order = self.order(number)
        response = self.harness.storefront.cancel(order.order_id)
        assert response.status in (200, 202)
        order.is_cancelled = True
        self.harness.broker.collect()

    # -- the messages --------------------------------------------------------------------------

    def has_messages(self) -> bool:
        return bool(self.harness.broker.waiting)

    @precondition(has_messages)
    @rule(number=numbers)
    def deliver(self, number: int) -> None:
        self.harness.deliver(self.harness.broker.take(number))

    @precondition(has_messages)
    @rule(number=numbers, fault=at_commits, is_redelivered=st.booleans())
    def deliver_to_worker_that_dies_at_a_commit(
        self, *, number: int, fault: Fault, is_redelivered: bool
    ) -> None:
        self.deliver_with_fault(number, fault, is_redelivered=is_redelivered)

    @precondition(has_messages)
    @rule(number=numbers, fault=at_calls, is_redelivered=st.booleans())
    def deliver_to_worker_with_a_fault_at_a_call(
        self, *, number: int, fault: Fault, is_redelivered: bool
    ) -> None:
        self.deliver_with_fault(number, fault, is_redelivered=is_redelivered)

    @precondition(has_messages)
    @rule(number=numbers, fault=long_sleeps, others=st.integers(0, 3), wakes=st.booleans())
    def deliver_to_worker_that_sleeps_past_its_lease(
        self, *, number: int, fault: Fault, others: int, wakes: bool
    ) -> None:
        """The lease ends, the sweep queues the run, and other workers take it over."""
        state = self.harness.deliver(self.harness.broker.take(number), fault)
        self.assert_safe()
        self.harness.pass_time(A_LEASE)
        self.harness.sweep()
        for _ in range(min(others, len(self.harness.broker.waiting))):
            self.harness.deliver(self.harness.broker.take(-1))
            self.assert_safe()
        if wakes and state is State.ASLEEP:
            self.harness.wake(self.harness.sleepers[-1])

    def deliver_with_fault(self, number: int, fault: Fault, *, is_redelivered: bool) -> None:
        message = self.harness.broker.take(number)
        if self.harness.deliver(message, fault) is State.DEAD and is_redelivered:
            self.harness.broker.waiting.append(message)  # it was not acknowledged

    @precondition(has_messages)
    @rule(accident=st.sampled_from(["doubled", "lost", "all lost", "late"]), number=numbers)
    def mishandle(self, accident: str, number: int) -> None:
        message, waiting = self.harness.broker.take(number), self.harness.broker.waiting
        match accident:
            case "doubled":
                waiting += [message, message]
            case "all lost":
                waiting.clear()
            case "late":
                waiting.append(message)

    @precondition(lambda self: self.harness.delivered)
    @rule(number=numbers)
    def deliver_an_old_message_again(self, number: int) -> None:
        delivered = self.harness.delivered
        self.harness.deliver(delivered[-1 - number % len(delivered)])

    @precondition(lambda self: self.harness.sleepers)
    @rule(number=numbers)
    def wake(self, number: int) -> None:
        self.harness.wake(self.harness.sleepers[number % len(self.harness.sleepers)])

    # -- time, provider, staff -----------------------------------------------------------------

    @rule(duration=durations)
    def pass_time_and_sweep(self, duration: timedelta) -> None:
        self.harness.pass_time(duration)
        self.harness.sweep()

    @rule(operation=operations, fault=faults, times=st.sampled_from([0, 1, 1, 2, 3, 9]))
    def break_or_mend_the_provider(self, operation: str, fault: str, times: int) -> None:
        if times:
            self.harness.sandbox_stripe.add_fault(operation, fault, times=times)
        else:
            self.harness.sandbox_stripe.clear_faults()

    @rule(sku=st.sampled_from(sorted(PRICES_MINOR)), quantity=st.integers(1, 3))
    def restock(self, sku: str, quantity: int) -> None:
        receive(StockLevel.objects.get(product__sku=sku), quantity, "more of it")

    @rule(number=numbers)
    def retry_now(self, number: int) -> None:
        for run in SagaRun.objects.filter(subject_id=self.order(number).order_id):
            assert retry_now(run.pk) == run.is_live
        self.harness.broker.collect()

    # -- what must be true ---------------------------------------------------------------------

    @invariant()
    def assert_safe(self) -> None:
        """Compare our rows, the sandbox's ledger and each customer's responses."""
        orders = list(Order.objects.all())
        money = money_by_order(self.harness.sandbox_stripe.ledger())
        safety_checks.assert_money_is_safe(orders, money)
        safety_checks.assert_one_intent_per_key(money, self.harness.passed)
        safety_checks.assert_stock_is_safe(orders)
        safety_checks.assert_runs_are_safe(orders)
        safety_checks.assert_transitions_are_safe(orders)
        self.assert_order_statuses_are_possible(orders)
        levels = StockLevel.objects.values_list("product__sku", "on_hand", "reserved")
        self.available = {sku: on_hand - reserved for sku, on_hand, reserved in levels}

    def assert_order_statuses_are_possible(self, orders: list[Order]) -> None:
        """Exactly the accepted orders exist, each in a status that its history permits."""
        found = {order.pk: order for order in orders}
        assert found.keys() == {model.order_id for model in self.models}
        for model in self.models:
            order = found[model.order_id]
            assert order.total_minor == model.total_minor
            has_changed = OrderStatus(order.status) is not model.seen
            model.see(OrderStatus(order.status))
            if has_changed and order.status == OrderStatus.CANCELLING:
                self.assert_compensated_for_a_reason(model, order)

    def assert_compensated_for_a_reason(self, model: OrderModel, order: Order) -> None:
        charges = StepAttempt.objects.filter(
            run__subject_id=order.pk, step="authorize_payment", direction="forward"
        )
        assert model.excuses(
            order.reason, order.reason_detail, tries=charges.count(), available=self.available
        ), (order.pk, order.reason, order.reason_detail)

    def order(self, number: int) -> OrderModel:
        return self.models[number % len(self.models)]

    def teardown(self) -> None:
        """With all faults gone every run ends, the ledgers agree, and nothing changes any more."""
        if not self.models:
            return
        self.harness.heal()
        self.assert_safe()
        for _ in range(ROUNDS):
            if not SagaRun.objects.filter(status__in=LIVE).exists():
                break
            self.harness.recover()
            self.assert_safe()
        self.assert_all_ended_correctly()
        self.assert_nothing_changes_any_more()

    def assert_nothing_changes_any_more(self) -> None:
        """Sweep again, and deliver every message of the history again: no row may change."""
        messages = [*self.harness.delivered, *self.harness.broker.waiting]
        self.harness.broker.waiting.clear()
        before = our_rows(), self.harness.sandbox_stripe.ledger()["payment_intents"]
        assert self.harness.sweep() == 0
        for message in messages:
            self.harness.deliver(message)
        assert self.harness.broker.waiting == []
        assert (our_rows(), self.harness.sandbox_stripe.ledger()["payment_intents"]) == before

    def assert_all_ended_correctly(self) -> None:
        ledger = self.harness.sandbox_stripe.ledger()
        money = money_by_order(ledger)
        for model in self.models:
            assert model.may_end_at(model.seen), (model, model.seen)
            if model.seen is OrderStatus.CONFIRMED:
                of_order = money[str(model.order_id)]
                assert (of_order.held_minor, of_order.kept_minor) == (0, model.total_minor)
        report = check(reading=reading_of(ledger), grace=timedelta(), strictness=Strictness.AT_REST)
        assert report.findings == []


def orders_machine(harness: WorkerHarness) -> type[OrdersMachine]:
    """Return the state machine of one shop."""
    return type("OrdersMachineOnHarness", (OrdersMachine,), {"harness": harness})


def test_in_any_history_every_order_is_safe_and_ends(harness: WorkerHarness) -> None:
    run_state_machine_as_test(orders_machine(harness), settings=effort(examples=10, steps=30))
