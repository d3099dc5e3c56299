"""Each message delivered twice at once, and two sweeps at once, have one effect."""

from collections import Counter
from functools import partial

import pytest
from django.db import IntegrityError

import inventory.services
from orders.models import Order
from orders.saga import CHECKOUT
from orders.states import OrderStatus
from sagas.dispatch import dispatch
from sagas.models import Outcome, SagaRun, StepAttempt
from sagas.sweep import sweep
from tests.support.in_memory_broker import deliver_as_separate_worker
from tests.support.ledger_checks import assert_ledgers_agree, snapshot
from tests.support.provider_ledger import OrderMoney, money_of
from tests.support.removed_guards import without_leases, without_row_locks
from tests.support.shop import Shop
from tests.support.threads import in_background, meet_before, run_at_once
from tests.support.waits import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 10
OVERDUE = 30
STEPS = [step.name for step in CHECKOUT.steps]


def test_messages_delivered_twice_at_once_have_one_effect(shop: Shop) -> None:
    for _ in range(ROUNDS):
        order = shop.place("pm_card_visa", mugs=1)
        shop.messages.drop_all()
        deliver_twice_at_once(shop, order)
        assert journal(order) == [(step, Outcome.DONE) for step in STEPS]
        assert money_of(shop.sandbox_stripe, order.pk) == OrderMoney(1, 0, order.total_minor)

        shop.cancel(order)
        deliver_twice_at_once(shop, order)

    assert Order.objects.filter(status=OrderStatus.CANCELLED).count() == ROUNDS
    assert_ledgers_agree(shop.sandbox_stripe)


def test_two_workers_cannot_work_on_one_run_at_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    order = shop.place()

    outcomes = reserve_together(shop, monkeypatch, kept_apart=True)

    assert outcomes == [None, None]
    assert collisions(caplog) == []
    assert journal(order) == [(step, Outcome.DONE) for step in STEPS]
    assert_ledgers_agree(shop.sandbox_stripe)


def test_two_workers_collide_on_a_run_without_its_lock(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    without_row_locks(monkeypatch, SagaRun)
    shop.place()

    reserve_together(shop, monkeypatch, kept_apart=False)

    assert collisions(caplog) == [IntegrityError]


def test_a_message_redelivered_during_the_call_changes_nothing(shop: Shop) -> None:
    order = shop.place()
    message = shop.take_only()
    rule = shop.sandbox_stripe.add_fault("payment_intents.confirm", "hold", times=1)

    with in_background(partial(deliver_as_separate_worker, message)):
        wait_until(lambda: shop.sandbox_stripe.held(rule) == 1)
        before = snapshot(shop.sandbox_stripe)
        deliver_as_separate_worker(message)
        assert snapshot(shop.sandbox_stripe) == before
        shop.sandbox_stripe.release(rule)

    assert journal(order) == [(step, Outcome.DONE) for step in STEPS]
    assert_ledgers_agree(shop.sandbox_stripe)


def test_a_redelivered_message_takes_over_a_run_without_a_lease(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_leases(monkeypatch)
    order = shop.place()
    message = shop.take_only()
    rule = shop.sandbox_stripe.add_fault("payment_intents.confirm", "hold", times=1)

    with in_background(partial(deliver_as_separate_worker, message)):
        wait_until(lambda: shop.sandbox_stripe.held(rule) == 1)
        deliver_as_separate_worker(message)
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
    """Sweep the order's run, and deliver each of its messages to two workers at once."""
    shop.let_time_pass()
    sweep()
    while shop.messages.waiting:
        message = shop.messages.take()
        assert run_at_once(*[partial(deliver_as_separate_worker, message)] * 2) == [None, None]
        assert not SagaRun.objects.filter(subject_id=order.pk, retry_count__gt=1).exists()


def reserve_together(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, *, kept_apart: bool
) -> list[Exception | None]:
    """Deliver one message to two workers, which wait for each other before they reserve."""
    reserve = meet_before(inventory.services.reserve, 2, kept_apart=kept_apart)
    monkeypatch.setattr(inventory.services, "reserve", reserve)
    return run_at_once(*[partial(deliver_as_separate_worker, shop.take_only())] * 2)


def collisions(caplog: pytest.LogCaptureFixture) -> list[type[BaseException] | None]:
    """Return the logged errors that made a step fail."""
    failed = [record for record in caplog.records if record.message == "phase.failed"]
    return [record.exc_info[0] for record in failed if record.exc_info]


def sweep_twice_at_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, *, kept_apart: bool
) -> Counter[object]:
    """Run two sweeps, which wait for each other before they queue the first run.

    Returns how often each run was queued.
    """
    for _ in range(OVERDUE):
        shop.place()
    shop.messages.drop_all()
    shop.let_time_pass()
    queue = meet_before(dispatch, 2, kept_apart=kept_apart)
    monkeypatch.setattr("sagas.sweep.dispatch", queue)

    run_at_once(sweep, sweep)

    return Counter(message.run_id for message in shop.messages.waiting)


def journal(order: Order) -> list[tuple[str, str]]:
    """Return the forward attempts, each as its step and outcome."""
    records = StepAttempt.objects.filter(run__subject_id=order.pk, run__saga="checkout")
    return list(records.filter(direction="forward").order_by("pk").values_list("step", "outcome"))
