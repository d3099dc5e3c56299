"""Workers whose lease expires during a call, and who continue after the order has moved on."""

from functools import partial
from typing import Any

import pytest

from orders.models import Order
from orders.states import OrderStatus
from payments import payment_operations
from payments.models import Payment
from sagas.models import Direction, Outcome, StepAttempt
from sagas.runner import ActiveAttempt
from sagas.sweep import sweep
from tests.support.in_memory_broker import deliver_as_separate_worker
from tests.support.ledger_checks import assert_ledgers_agree, our_rows
from tests.support.provider_ledger import OrderMoney, intents_for, money_of
from tests.support.removed_guards import without_fences
from tests.support.shop import Shop
from tests.support.threads import in_background
from tests.support.waits import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("operation", "fault", "end"),
    [
        ("create", "hold", "canceled"),
        ("create", "hold_after", "canceled"),
        ("confirm", "hold", "canceled"),
        ("confirm", "hold_after", "canceled"),
        ("capture", "hold", "canceled"),
        ("capture", "hold_after", "succeeded"),  # and refunded
    ],
)
def test_a_worker_past_its_lease_cannot_charge_a_cancelled_order(
    shop: Shop, operation: str, fault: str, end: str
) -> None:
    order = shop.place()

    before = cancel_while_the_worker_sleeps(shop, order, operation, fault)

    assert without_late_results(our_rows()) == without_late_results(before)
    order.refresh_from_db()
    assert order.status == OrderStatus.CANCELLED
    assert order.transitions.filter(target=OrderStatus.CANCELLED).count() == 1
    (intent,) = intents_for(shop.sandbox_stripe.ledger(), order.pk)
    assert intent["status"] == end
    assert_ledgers_agree(shop.sandbox_stripe)


def test_a_worker_past_its_lease_charges_a_cancelled_order_without_fence_and_closed_payment(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def store(payment: Payment, payment_id: str) -> bool:
        return Payment.objects.filter(pk=payment.pk).update(provider_payment_id=payment_id) == 1

    monkeypatch.setattr(ActiveAttempt, "checkpoint", lambda _, write: write())
    monkeypatch.setattr(payment_operations, "_store_provider_payment_id", store)
    order = shop.place()

    cancel_while_the_worker_sleeps(shop, order, "create", "hold")

    order.refresh_from_db()
    assert order.status == OrderStatus.CANCELLED
    assert money_of(shop.sandbox_stripe, order.pk) == OrderMoney(1, held_minor=4500, kept_minor=0)


@pytest.mark.parametrize(
    ("operation", "fault", "attempts"),
    [
        # Stripe answers that the first request is still in progress; the attempt is repeated.
        ("create", "hold", [Outcome.LOST, Outcome.TRANSIENT, Outcome.DONE]),
        ("create", "hold_after", [Outcome.LOST, Outcome.DONE]),
        ("confirm", "hold", [Outcome.LOST, Outcome.TRANSIENT, Outcome.DONE]),
        ("confirm", "hold_after", [Outcome.LOST, Outcome.DONE]),
    ],
)
def test_a_worker_past_its_lease_changes_no_order_that_another_worker_took_over(
    shop: Shop, operation: str, fault: str, attempts: list[Outcome]
) -> None:
    order = shop.place()
    rule = shop.sandbox_stripe.add_fault(f"payment_intents.{operation}", fault, times=1)

    with in_background(partial(deliver_as_separate_worker, shop.take_only())):
        wait_until(lambda: shop.sandbox_stripe.held(rule) == 1)
        shop.recover()
        shop.sandbox_stripe.release(rule)
    shop.recover()

    assert attempts_to_authorize() == attempts
    assert money_of(shop.sandbox_stripe, order.pk) == OrderMoney(1, held_minor=0, kept_minor=4500)
    assert_ledgers_agree(shop.sandbox_stripe)


def test_a_result_after_the_lease_is_recorded_but_not_used(shop: Shop) -> None:
    shop.place()

    wake_while_another_worker_looks_up(shop)

    assert attempts_to_authorize() == [Outcome.LOST, Outcome.DONE]
    lost = StepAttempt.objects.get(outcome=Outcome.LOST)
    assert lost.detail == "answered too late: done"
    assert lost.output["provider_payment_id"] == Payment.objects.get().provider_payment_id
    assert_ledgers_agree(shop.sandbox_stripe)


def test_a_result_after_the_lease_is_used_without_fences(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_fences(monkeypatch)
    shop.place()

    wake_while_another_worker_looks_up(shop)

    assert attempts_to_authorize() == [Outcome.DONE, Outcome.STARTED]


def cancel_while_the_worker_sleeps(
    shop: Shop, order: Order, operation: str, fault: str
) -> dict[str, list[dict[str, Any]]]:
    """Cancel an order while a worker sleeps in a call; return our rows before it wakes."""
    if operation == "capture":
        shop.deliver_next()
    rule = shop.sandbox_stripe.add_fault(f"payment_intents.{operation}", fault, times=1)
    with in_background(partial(deliver_as_separate_worker, shop.take_only())):
        wait_until(lambda: shop.sandbox_stripe.held(rule) == 1)
        shop.cancel(order)
        shop.recover()
        before = our_rows()
        shop.sandbox_stripe.release(rule)
    return before


def wake_while_another_worker_looks_up(shop: Shop) -> None:
    """Worker A confirms and sleeps; worker B takes over and looks the payment up; A wakes first."""
    confirm = shop.sandbox_stripe.add_fault("payment_intents.confirm", "hold_after", times=1)
    with in_background(partial(deliver_as_separate_worker, shop.take_only())) as sleeper:
        wait_until(lambda: shop.sandbox_stripe.held(confirm) == 1)
        lookup = shop.sandbox_stripe.add_fault("payment_intents.retrieve", "hold", times=1)
        shop.let_time_pass()
        sweep()
        with in_background(partial(deliver_as_separate_worker, shop.take_only())):
            wait_until(lambda: shop.sandbox_stripe.held(lookup) == 1)
            shop.sandbox_stripe.release(confirm)
            wait_until(sleeper.done)
            shop.sandbox_stripe.release(lookup)


def without_late_results(rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows without the fields that a late result may change on a lost attempt."""
    records = [
        {name: value for name, value in attempt.items() if name not in ("output", "detail")}
        for attempt in rows["StepAttempt"]
    ]
    return {**rows, "StepAttempt": records}


def attempts_to_authorize() -> list[str]:
    records = StepAttempt.objects.filter(step="authorize_payment", direction=Direction.FORWARD)
    return list(records.order_by("pk").values_list("outcome", flat=True))
