"""An accepted cancellation is kept, at any moment of the calls to the provider."""

import threading
from functools import partial

import pytest

from orders.models import Order
from orders.states import OrderStatus
from sagas.definition import Saga, Step
from sagas.models import SagaRun
from tests.support.in_memory_broker import deliver_as_separate_worker
from tests.support.ledger_checks import assert_ledgers_agree
from tests.support.provider_ledger import money_of
from tests.support.removed_guards import without_compensation_requests, without_row_locks
from tests.support.shop import Shop
from tests.support.threads import (
    KEPT_APART_SECONDS,
    LEFT_TO_MEET_SECONDS,
    in_background,
    run_at_once,
)
from tests.support.waits import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 24

BEFORE_AND_AFTER_EXECUTION = [
    (operation, fault)
    for operation in ("create", "confirm", "capture")
    for fault in ("hold", "hold_after")
]


@pytest.mark.parametrize(("operation", "fault"), BEFORE_AND_AFTER_EXECUTION)
def test_a_cancellation_during_a_call_is_kept(shop: Shop, operation: str, fault: str) -> None:
    order = shop.place()

    cancel_during(shop, order, operation, fault)

    order.refresh_from_db()
    assert (order.status, order.reason) == (OrderStatus.CANCELLED, "cancelled_by_customer")
    assert money_of(shop.sandbox_stripe, order.pk).kept_minor == 0
    assert_ledgers_agree(shop.sandbox_stripe)


@pytest.mark.parametrize(("operation", "fault"), BEFORE_AND_AFTER_EXECUTION)
def test_a_cancellation_during_a_call_is_lost_if_workers_do_not_check_for_it(
    shop: Shop, operation: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_compensation_requests(monkeypatch)
    order = shop.place()

    cancel_during(shop, order, operation, fault)

    order.refresh_from_db()
    assert order.status == OrderStatus.CONFIRMED


@pytest.mark.parametrize("messages_delivered", [0, 1, 2])
def test_a_cancellation_between_two_messages_is_kept(shop: Shop, messages_delivered: int) -> None:
    order = shop.place()
    for _ in range(messages_delivered):
        shop.deliver_next()

    shop.cancel(order)
    shop.messages.deliver_all()

    order.refresh_from_db()
    assert (order.status, order.reason) == (OrderStatus.CANCELLED, "cancelled_by_customer")
    assert_ledgers_agree(shop.sandbox_stripe)


def test_a_cancellation_while_the_last_result_is_recorded_is_kept(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = shop.place()

    cancel_while_settling(shop, order, monkeypatch, kept_apart=True)

    order.refresh_from_db()
    assert (order.status, order.reason) == (OrderStatus.CANCELLED, "cancelled_by_customer")
    assert_ledgers_agree(shop.sandbox_stripe)


def test_a_cancellation_of_a_run_without_its_lock_fails(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_row_locks(monkeypatch, SagaRun)
    order = shop.place()

    with pytest.raises(Exception, match="sagas_live_run_always_wakes"):
        cancel_while_settling(shop, order, monkeypatch, kept_apart=False)

    order.refresh_from_db()
    assert order.status == OrderStatus.CONFIRMED


def test_an_order_cancelled_while_its_worker_begins_is_always_cancelled(shop: Shop) -> None:
    for _ in range(ROUNDS):
        order = shop.place()
        message = shop.messages.take()

        outcomes = run_at_once(
            partial(deliver_as_separate_worker, message), partial(shop.cancel, order)
        )
        shop.messages.deliver_all()

        assert outcomes == [None, None]

    assert Order.objects.filter(status=OrderStatus.CANCELLED).count() == ROUNDS
    assert_ledgers_agree(shop.sandbox_stripe)


def cancel_during(shop: Shop, order: Order, operation: str, fault: str) -> None:
    """Cancel while the sandbox delays a call, then deliver all messages."""
    rule = shop.sandbox_stripe.add_fault(f"payment_intents.{operation}", fault, times=1)
    with in_background(partial(deliver_as_separate_worker, shop.take_only())):
        wait_until(lambda: shop.sandbox_stripe.held(rule) == 1)
        shop.cancel(order)
        shop.sandbox_stripe.release(rule)
    shop.messages.deliver_all()


def cancel_while_settling(
    shop: Shop, order: Order, monkeypatch: pytest.MonkeyPatch, *, kept_apart: bool
) -> None:
    """Make the cancellation, which has just read the run, wait until the capture is recorded.

    If the lock on the run prevents that, the cancellation continues after a while.
    """
    shop.deliver_next()
    capture = shop.take_only()
    has_read, has_settled = threading.Event(), threading.Event()
    can_compensate_at = Saga.can_compensate_at
    seconds = KEPT_APART_SECONDS if kept_apart else LEFT_TO_MEET_SECONDS

    def wait_and_decide(saga: Saga, step: Step) -> bool:
        if not has_read.is_set():
            has_read.set()
            has_settled.wait(seconds)
        return can_compensate_at(saga, step)

    def carry_capture() -> None:
        deliver_as_separate_worker(capture)
        has_settled.set()

    monkeypatch.setattr(Saga, "can_compensate_at", wait_and_decide)
    rule = shop.sandbox_stripe.add_fault("payment_intents.capture", "hold_after", times=1)
    with in_background(carry_capture):
        wait_until(lambda: shop.sandbox_stripe.held(rule) == 1)
        with in_background(partial(shop.cancel, order)):
            wait_until(has_read.is_set)
            shop.sandbox_stripe.release(rule)
    shop.messages.deliver_all()
