"""A cancel that was accepted is kept, whatever the bank is doing at that moment."""

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

ASKED_AND_ANSWERED = [
    (operation, fault)
    for operation in ("create", "confirm", "capture")
    for fault in ("hold", "hold_after")
]


@pytest.mark.parametrize(("operation", "fault"), ASKED_AND_ANSWERED)
def test_a_cancel_in_the_middle_of_a_call_is_kept(shop: Shop, operation: str, fault: str) -> None:
    order = shop.place()

    cancel_during(shop, order, operation, fault)

    order.refresh_from_db()
    assert (order.status, order.reason) == (OrderStatus.CANCELLED, "cancelled_by_customer")
    assert money_of(shop.sandbox_stripe, order.pk).kept_minor == 0
    assert_ledgers_agree(shop.sandbox_stripe)


@pytest.mark.parametrize(("operation", "fault"), ASKED_AND_ANSWERED)
def test_a_cancel_in_the_middle_of_a_call_is_lost_on_workers_that_do_not_look(
    shop: Shop, operation: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_compensation_requests(monkeypatch)
    order = shop.place()

    cancel_during(shop, order, operation, fault)

    order.refresh_from_db()
    assert order.status == OrderStatus.CONFIRMED


@pytest.mark.parametrize("messages_delivered", [0, 1, 2])
def test_a_cancel_between_two_messages_is_kept(shop: Shop, messages_delivered: int) -> None:
    order = shop.place()
    for _ in range(messages_delivered):
        shop.deliver_next()

    shop.cancel(order)
    shop.messages.deliver_all()

    order.refresh_from_db()
    assert (order.status, order.reason) == (OrderStatus.CANCELLED, "cancelled_by_customer")
    assert_ledgers_agree(shop.sandbox_stripe)


def test_a_cancel_decided_while_the_last_answer_is_settled_is_kept(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = shop.place()

    cancel_while_settling(shop, order, monkeypatch, kept_apart=True)

    order.refresh_from_db()
    assert (order.status, order.reason) == (OrderStatus.CANCELLED, "cancelled_by_customer")
    assert_ledgers_agree(shop.sandbox_stripe)


def test_a_cancel_decided_on_a_run_that_is_not_locked_comes_to_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_row_locks(monkeypatch, SagaRun)
    order = shop.place()

    with pytest.raises(Exception, match="sagas_live_run_always_wakes"):
        cancel_while_settling(shop, order, monkeypatch, kept_apart=False)

    order.refresh_from_db()
    assert order.status == OrderStatus.CONFIRMED


def test_whichever_comes_first_an_order_and_its_cancel_end_at_nothing(shop: Shop) -> None:
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
    """Cancel while the bank holds a call, and carry on to the end."""
    rule = shop.sandbox_stripe.add_fault(f"payment_intents.{operation}", fault, times=1)
    with in_background(partial(deliver_as_separate_worker, shop.take_only())):
        wait_until(lambda: shop.sandbox_stripe.held(rule) == 1)
        shop.cancel(order)
        shop.sandbox_stripe.release(rule)
    shop.messages.deliver_all()


def cancel_while_settling(
    shop: Shop, order: Order, monkeypatch: pytest.MonkeyPatch, *, kept_apart: bool
) -> None:
    """Have the canceller, who has just read the run, wait until the capture has been settled.

    Where the lock on the run keeps the two apart, it goes on after a while.
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
