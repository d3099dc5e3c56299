"""Workers that are killed during a call, once or many times in a row.

``proof/`` tests every other moment at which a worker can die.
"""

import os
import signal

import pytest

from orders.states import OrderStatus
from sagas.models import Outcome, StepAttempt
from sagas.sweep import sweep
from tests.support.in_memory_broker import Message
from tests.support.ledger_checks import assert_ledgers_agree, snapshot
from tests.support.provider_ledger import OrderMoney, money_of
from tests.support.shop import Shop
from tests.support.waits import wait_until
from tests.support.worker_processes import WorkerProcesses

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.destructive]

COMPENSATED = OrderMoney(charges=1, held_minor=0, kept_minor=0)
AUTHORIZE = "authorize_payment"
ATTEMPTS = 8


def test_an_attempt_of_a_killed_worker_stays_until_its_lease_ends(
    shop: Shop, workers: WorkerProcesses
) -> None:
    order = shop.place()
    message = shop.take_only()
    kill_after_confirming(workers, message, shop)
    before = snapshot(shop.sandbox_stripe)

    shop.messages.deliver(message)

    assert sweep() == 0
    assert snapshot(shop.sandbox_stripe) == before
    order.refresh_from_db()
    assert order.status == OrderStatus.PLACED
    assert lost_attempts() == []


def test_an_order_that_kills_every_worker_is_compensated(
    shop: Shop, workers: WorkerProcesses
) -> None:
    order = shop.place()
    message = shop.take_only()

    kill_after_confirming(workers, message, shop)
    shop.let_time_pass()
    kill_before_looking(workers, message)
    for _ in range(ATTEMPTS - 2):
        shop.recover()  # after the second lost attempt, the next one waits for its back-off
        shop.let_time_pass()
        kill_before_looking(workers, message)
    shop.recover()
    shop.recover()

    order.refresh_from_db()
    assert (order.status, order.reason) == (
        OrderStatus.CANCELLED,
        "authorize_payment_unanswered",
    )
    assert money_of(shop.sandbox_stripe, order.pk) == COMPENSATED
    assert_ledgers_agree(shop.sandbox_stripe)
    assert lost_attempts() == [AUTHORIZE] * ATTEMPTS


def kill_after_confirming(workers: WorkerProcesses, message: Message, shop: Shop) -> None:
    """Kill a worker during the confirmation, after the sandbox has executed it."""
    rule = shop.sandbox_stripe.add_fault("payment_intents.confirm", "hold_after", times=1)
    pid = workers.begin(message)
    wait_until(lambda: shop.sandbox_stripe.held(rule) == 1)

    os.kill(pid, signal.SIGKILL)
    workers.wait_for_death()
    ended = len(shop.sandbox_stripe.calls())
    shop.sandbox_stripe.release(rule)
    wait_until(lambda: len(shop.sandbox_stripe.calls()) > ended)


def kill_before_looking(workers: WorkerProcesses, message: Message) -> None:
    """Kill the worker before it looks up the payment of the lost attempt."""
    workers.begin(message, "retrieve_payment")
    workers.wait_for_death()


def lost_attempts() -> list[str]:
    lost = StepAttempt.objects.filter(outcome=Outcome.LOST).order_by("pk")
    return list(lost.values_list("step", flat=True))
