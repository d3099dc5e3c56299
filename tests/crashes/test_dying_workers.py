"""Every step and every undo, with its worker killed at every moment at which that could matter.

The worker is a process of its own and dies of SIGKILL. What follows is all that there is to
recover with: the lease runs out, the sweep looks, another worker takes the message.
"""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from orders.models import Order
from orders.states import OrderStatus
from sagas.models import Outcome, StepRecord
from sagas.sweep import sweep
from tests.books import NOTHING_MOVED, Account, account_of, assert_books_balance, snapshot
from tests.crashes import stages
from tests.crashes.conftest import DyingWorkers
from tests.message_queue import Message
from tests.sandbox.waiting import wait_until
from tests.sandbox_server import SandboxServer
from tests.shop import Shop

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.destructive]

TOTAL = 2 * 1000 + 2500
KEPT = Account(charges=1, held_minor=0, kept_minor=TOTAL)
UNDONE = Account(charges=1, held_minor=0, kept_minor=0)
ATTEMPTS = 8


@dataclass(frozen=True)
class Stage:
    """A message that a worker dies of, what its order must come to, and the fatal moments.

    Each moment comes with the step whose attempt is then lost; with none where the worker died
    owing no answer.
    """

    arrange: Callable[[Shop], Order]
    status: OrderStatus
    account: Account
    moments: dict[str, str]


AUTHORIZE, CAPTURE, RETURN = "authorize_payment", "capture_payment", "return_payment"

STAGES = (
    Stage(
        stages.placed,
        OrderStatus.CONFIRMED,
        KEPT,
        {
            "before commit 1": "",  # the stock is held and the charge claimed
            "after commit 1": AUTHORIZE,
            "before create_intent": AUTHORIZE,
            "held before payment_intents.create": AUTHORIZE,
            "held after payment_intents.create": AUTHORIZE,
            "before commit 2": AUTHORIZE,  # the intent's id is stored
            "after commit 2": AUTHORIZE,
            "before confirm_intent": AUTHORIZE,
            "held before payment_intents.confirm": AUTHORIZE,
            "held after payment_intents.confirm": AUTHORIZE,
            "before commit 3": AUTHORIZE,  # the answer is settled and the order confirmed
            "after commit 3": "",
        },
    ),
    Stage(
        stages.placed_with_a_card_to_be_declined,
        OrderStatus.CANCELLED,
        NOTHING_MOVED,
        {
            "held before payment_intents.confirm": AUTHORIZE,
            "held after payment_intents.confirm": AUTHORIZE,
            "before commit 3": AUTHORIZE,  # the refusal is settled and the run turns back
            "after commit 3": "",
        },
    ),
    Stage(
        stages.placed_for_more_than_there_is,
        OrderStatus.CANCELLED,
        NOTHING_MOVED,
        {
            "before commit 1": "",  # the refusal: nothing is held, the run turns back
            "after commit 1": "",
        },
    ),
    Stage(
        stages.authorized,
        OrderStatus.CONFIRMED,
        KEPT,
        {
            "before commit 1": "",  # the capture is claimed
            "after commit 1": CAPTURE,
            "before capture_intent": CAPTURE,
            "held before payment_intents.capture": CAPTURE,
            "held after payment_intents.capture": CAPTURE,
            "before commit 2": CAPTURE,  # the answer is settled and the run completed
            "after commit 2": "",
        },
    ),
    Stage(
        stages.authorized_and_asked_to_turn_back,
        OrderStatus.CANCELLED,
        UNDONE,
        {
            "before commit 1": "",  # the run turns back
            "after commit 1": "",
        },
    ),
    Stage(
        stages.declined,
        OrderStatus.CANCELLED,
        NOTHING_MOVED,
        {
            "after commit 1": AUTHORIZE,
            "held before payment_intents.cancel": AUTHORIZE,
            "held after payment_intents.cancel": AUTHORIZE,
            "after commit 2": "",
        },
    ),
    Stage(
        stages.turned_back_while_authorized,
        OrderStatus.CANCELLED,
        UNDONE,
        {
            "before commit 1": "",  # the confirmation is withdrawn and the void claimed
            "after commit 1": AUTHORIZE,
            "before cancel_intent": AUTHORIZE,
            "held before payment_intents.cancel": AUTHORIZE,
            "held after payment_intents.cancel": AUTHORIZE,
            "before commit 2": AUTHORIZE,  # the answer is settled, the stock released, the end
            "after commit 2": "",
        },
    ),
    Stage(
        stages.turned_back_while_nobody_knows_of_the_capture,
        OrderStatus.CANCELLED,
        UNDONE,
        {
            "before commit 1": "",  # the refund is claimed
            "after commit 1": CAPTURE,
            "held after payment_intents.cancel": CAPTURE,
            "before commit 2": CAPTURE,  # the refund is written down
            "after commit 2": CAPTURE,
            "held before refunds.create": CAPTURE,
            "held after refunds.create": CAPTURE,
            "before commit 3": CAPTURE,  # the bank's refund is noted
            "after commit 3": CAPTURE,
            "before commit 4": CAPTURE,  # the answer is settled and the void claimed
            "after commit 4": AUTHORIZE,
            "before commit 5": AUTHORIZE,  # the answer is settled, the stock released, the end
            "after commit 5": "",
        },
    ),
    Stage(
        stages.cancelled_after_capture,
        OrderStatus.CANCELLED,
        UNDONE,
        {
            "before commit 1": "",  # the refund is claimed
            "after commit 1": RETURN,
            "held after payment_intents.cancel": RETURN,
            "before commit 2": RETURN,  # the refund is written down
            "after commit 2": RETURN,
            "before create_refund": RETURN,
            "held before refunds.create": RETURN,
            "held after refunds.create": RETURN,
            "before commit 3": RETURN,  # the bank's refund is noted
            "after commit 3": RETURN,
            "before commit 4": RETURN,  # the answer is settled, the stock back, the order closed
            "after commit 4": "",
        },
    ),
)


@pytest.mark.parametrize(
    ("stage", "moment", "lost"),
    [
        pytest.param(stage, moment, lost, id=f"{stage.arrange.__name__}, {moment}")
        for stage in STAGES
        for moment, lost in stage.moments.items()
    ],
)
def test_an_order_ends_as_it_must_although_its_worker_is_killed(
    shop: Shop, workers: DyingWorkers, stage: Stage, moment: str, lost: str
) -> None:
    order = stage.arrange(shop)

    kill(workers, shop.take_only(), moment, shop.bank)
    shop.recover()

    order.refresh_from_db()
    assert order.status == stage.status
    assert account_of(shop.bank, order.pk) == stage.account
    assert_books_balance(shop.bank)
    assert lost_attempts() == ([lost] if lost else [])


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.arrange.__name__)
def test_recovering_twice_changes_nothing(shop: Shop, workers: DyingWorkers, stage: Stage) -> None:
    stage.arrange(shop)
    kill(workers, shop.take_only(), "after commit 1", shop.bank)
    shop.recover()
    before = snapshot(shop.bank)

    found = shop.recover()
    shop.deliver_everything_again()

    assert found == 0
    assert shop.messages.waiting == []
    assert snapshot(shop.bank) == before


def test_an_attempt_is_left_alone_while_its_lease_runs(shop: Shop, workers: DyingWorkers) -> None:
    order = shop.place()
    message = shop.take_only()
    kill(workers, message, "held after payment_intents.confirm", shop.bank)
    before = snapshot(shop.bank)

    shop.messages.deliver(message)

    assert sweep() == 0
    assert snapshot(shop.bank) == before
    order.refresh_from_db()
    assert order.status == OrderStatus.PLACED
    assert lost_attempts() == []


def test_an_order_that_kills_every_worker_is_turned_back_and_undone(
    shop: Shop, workers: DyingWorkers
) -> None:
    order = shop.place()
    message = shop.take_only()

    kill(workers, message, "held after payment_intents.confirm", shop.bank)
    shop.let_time_pass()
    kill(workers, message, "before commit 2", shop.bank)
    for _ in range(ATTEMPTS - 2):
        shop.recover()  # from the second loss on, the next attempt waits for its back-off
        shop.let_time_pass()
        kill(workers, message, "before commit 2", shop.bank)
    shop.recover()
    shop.recover()

    order.refresh_from_db()
    assert (order.status, order.reason) == (
        OrderStatus.CANCELLED,
        "authorize_payment_unanswered",
    )
    assert account_of(shop.bank, order.pk) == UNDONE
    assert_books_balance(shop.bank)
    assert lost_attempts() == [AUTHORIZE] * ATTEMPTS


def kill(workers: DyingWorkers, message: Message, moment: str, bank: SandboxServer) -> None:
    """Deliver ``message`` to a worker that is dead when this returns."""
    match moment.split():
        case ["held", when, operation]:
            kill_while_held(workers, message, when, operation, bank)
        case _:
            workers.begin(message, moment)
            workers.wait_for_death()


def kill_while_held(
    workers: DyingWorkers, message: Message, when: str, operation: str, bank: SandboxServer
) -> None:
    """Kill it in the middle of a call; the bank then does what it was asked, if it had not."""
    rule = bank.add_fault(operation, {"before": "hold", "after": "hold_after"}[when], times=1)
    pid = workers.begin(message)
    wait_until(lambda: bank.held(rule) == 1)

    os.kill(pid, signal.SIGKILL)
    workers.wait_for_death()
    ended = len(bank.calls())
    bank.release(rule)
    wait_until(lambda: len(bank.calls()) > ended)


def lost_attempts() -> list[str]:
    lost = StepRecord.objects.filter(outcome=Outcome.LOST).order_by("pk")
    return list(lost.values_list("step", flat=True))
