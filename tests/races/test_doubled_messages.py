"""Every message twice at the same moment, and two sweeps at the same moment: once is what happens."""

from collections import Counter
from functools import partial

import pytest
from django.db import IntegrityError

import inventory.services
from orders.models import Order
from orders.states import OrderStatus
from sagas.dispatch import dispatch
from sagas.models import Outcome, SagaRun, StepAttempt
from sagas.sweep import sweep
from tests.support.ledger_checks import Account, account_of, assert_books_balance, snapshot
from tests.support.racing_threads import at_once, carry, meanwhile, meeting_first
from tests.support.removed_guards import without_leases, without_row_locks
from tests.support.shop import Shop
from tests.support.waits import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 10
OVERDUE = 30
STEPS = ["reserve_stock", "authorize_payment", "confirm_order", "capture_payment"]


def test_messages_that_come_twice_at_once_have_one_effect(shop: Shop) -> None:
    for _ in range(ROUNDS):
        order = shop.place("pm_card_visa", mugs=1)
        shop.messages.drop_all()
        deliver_twice_at_once(shop, order)
        assert journal(order) == [(step, Outcome.DONE) for step in STEPS]
        assert account_of(shop.sandbox_stripe, order.pk) == Account(1, 0, order.total_minor)

        shop.cancel(order)
        deliver_twice_at_once(shop, order)

    assert Order.objects.filter(status=OrderStatus.CANCELLED).count() == ROUNDS
    assert_books_balance(shop.sandbox_stripe)


def test_two_workers_cannot_take_up_one_run_together(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    order = shop.place()

    outcomes = reserve_together(shop, monkeypatch, kept_apart=True)

    assert outcomes == [None, None]
    assert collisions(caplog) == []
    assert journal(order) == [(step, Outcome.DONE) for step in STEPS]
    assert_books_balance(shop.sandbox_stripe)


def test_two_workers_collide_on_a_run_that_is_not_locked(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    without_row_locks(monkeypatch, SagaRun)
    shop.place()

    reserve_together(shop, monkeypatch, kept_apart=False)

    assert collisions(caplog) == [IntegrityError]


def test_a_message_that_comes_again_during_the_call_changes_nothing(shop: Shop) -> None:
    order = shop.place()
    message = shop.take_only()
    rule = shop.sandbox_stripe.add_fault("payment_intents.confirm", "hold", times=1)

    with meanwhile(partial(carry, message)):
        wait_until(lambda: shop.sandbox_stripe.held(rule) == 1)
        before = snapshot(shop.sandbox_stripe)
        carry(message)
        assert snapshot(shop.sandbox_stripe) == before
        shop.sandbox_stripe.release(rule)

    assert journal(order) == [(step, Outcome.DONE) for step in STEPS]
    assert_books_balance(shop.sandbox_stripe)


def test_a_message_that_comes_again_takes_a_run_over_that_has_no_lease(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_leases(monkeypatch)
    order = shop.place()
    message = shop.take_only()
    rule = shop.sandbox_stripe.add_fault("payment_intents.confirm", "hold", times=1)

    with meanwhile(partial(carry, message)):
        wait_until(lambda: shop.sandbox_stripe.held(rule) == 1)
        carry(message)
        shop.sandbox_stripe.release(rule)

    assert Counter(step for step, _ in journal(order))["authorize_payment"] == 2


def test_two_sweeps_at_once_queue_each_overdue_run_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = sweep_twice_at_once(shop, monkeypatch, kept_apart=True)

    assert runs == dict.fromkeys(SagaRun.objects.values_list("pk", flat=True), 1)
    assert set(SagaRun.objects.values_list("redispatch_count", flat=True)) == {1}


def test_two_sweeps_at_once_queue_runs_twice_without_their_locks(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_row_locks(monkeypatch, SagaRun)

    runs = sweep_twice_at_once(shop, monkeypatch, kept_apart=False)

    assert set(runs.values()) == {2}


def deliver_twice_at_once(shop: Shop, order: Order) -> None:
    """Let a sweep queue the order's run, and two workers take each message that comes of it."""
    shop.let_time_pass()
    sweep()
    while shop.messages.waiting:
        message = shop.messages.take()
        assert at_once(*[partial(carry, message)] * 2) == [None, None]
        assert not SagaRun.objects.filter(subject_id=order.pk, retry_count__gt=1).exists()


def reserve_together(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, *, kept_apart: bool
) -> list[Exception | None]:
    """Give one message to two workers, who wait for each other before they reserve."""
    reserve = meeting_first(inventory.services.reserve, 2, kept_apart=kept_apart)
    monkeypatch.setattr(inventory.services, "reserve", reserve)
    return at_once(*[partial(carry, shop.take_only())] * 2)


def collisions(caplog: pytest.LogCaptureFixture) -> list[type[BaseException] | None]:
    """What made a step fail that was being tried."""
    failed = [each for each in caplog.records if each.message == "phase.failed"]
    return [each.exc_info[0] for each in failed if each.exc_info]


def sweep_twice_at_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, *, kept_apart: bool
) -> Counter[object]:
    """Two sweeps, who wait for each other before they queue the first run; how often each was."""
    for _ in range(OVERDUE):
        shop.place()
    shop.messages.drop_all()
    shop.let_time_pass()
    queue = meeting_first(dispatch, 2, kept_apart=kept_apart)
    monkeypatch.setattr("sagas.sweep.dispatch", queue)

    at_once(sweep, sweep)

    return Counter(each.run_id for each in shop.messages.waiting)


def journal(order: Order) -> list[tuple[str, str]]:
    """What was tried on the way forward, and what came of it."""
    records = StepAttempt.objects.filter(run__subject_id=order.pk, run__saga="checkout")
    return list(records.filter(direction="forward").order_by("pk").values_list("step", "outcome"))
