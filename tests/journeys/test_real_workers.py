"""Orders over HTTP with real Celery workers and a real broker, some of which are killed."""

from collections.abc import Iterator
from io import StringIO
from uuid import UUID

import kombu.exceptions
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db.models.functions import Now

from access.models import ApiToken
from monitoring.heartbeats import SILENT_AFTER
from monitoring.models import WorkerHeartbeat
from orders.models import Order
from orders.states import OrderStatus
from sagas.models import Outcome, StepAttempt
from sandbox.stripe_process import SandboxServer
from tests.support.http_storefront import HttpStorefront
from tests.support.ledger_checks import assert_ledgers_agree, no_run_is_live
from tests.support.production_processes import SLOTS, Installation
from tests.support.provider_ledger import OrderMoney, money_of
from tests.support.shop import Shelf
from tests.support.waits import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

IN_STOCK = 100
BURST = 10 * SLOTS
"""More orders than the worker's slots can run and prefetch, even with three orders in a message."""
MOST_CPU_SECONDS = 5.0
"""What a rejected message may cost, including everything that the worker does meanwhile."""
UNREGISTERED = "Received unregistered task"
PRICE = 1000
CHARGED = OrderMoney(charges=1, held_minor=0, kept_minor=PRICE)
REFUNDED = OrderMoney(charges=1, held_minor=0, kept_minor=0)


@pytest.fixture(scope="module")
def installation(
    django_db_setup: None, sandbox: SandboxServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    running = Installation(sandbox, tmp_path_factory.mktemp("installation"))
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.stop()


@pytest.fixture
def alice(
    installation: Installation, customer: User, shelf: Shelf, sandbox_stripe: SandboxServer
) -> Iterator[HttpStorefront]:
    """A customer of the running installation. Waits at the end of the test until all orders have ended."""
    shelf.put("MUG", IN_STOCK, PRICE)
    yield HttpStorefront(installation.url, str(ApiToken.objects.issue(customer)[1]))
    sandbox_stripe.clear_faults()
    wait_until(no_run_is_live)


def test_a_paid_order_is_confirmed_while_its_customer_waits(
    alice: HttpStorefront, sandbox_stripe: SandboxServer
) -> None:
    order = alice.place(wait=10)
    while order["status"] == "placed":  # a busy machine can take longer than ten seconds
        order = alice.place(wait=10)

    assert (order["status"], order["reason"]) == ("confirmed", "")
    wait_until(no_run_is_live)
    assert money_of(sandbox_stripe, UUID(order["id"])) == CHARGED
    assert_ledgers_agree(sandbox_stripe)


@pytest.mark.parametrize(
    ("payment_method", "reason"),
    [
        ("pm_card_chargeDeclined", "Your card was declined."),
        ("pm_card_chargeDeclinedLostCard", "Your card was declined."),
        ("pm_card_chargeDeclinedInsufficientFunds", "Your card has insufficient funds."),
        ("pm_card_chargeDeclinedExpiredCard", "Your card has expired."),
        ("pm_card_authenticationRequired", "Your bank asks you to authenticate the payment."),
        ("pm_card_unknown", "This payment method does not exist."),
    ],
)
def test_a_declined_payment_cancels_the_order(
    alice: HttpStorefront,
    sandbox_stripe: SandboxServer,
    shelf: Shelf,
    payment_method: str,
    reason: str,
) -> None:
    placed = alice.place(payment_method)

    order = alice.wait_for_end(placed["id"])

    assert (order["status"], order["reason_code"]) == ("cancelled", "payment_declined")
    assert order["reason"] == reason
    assert money_of(sandbox_stripe, UUID(order["id"])).charges == 0
    assert shelf.level("MUG") == (IN_STOCK, 0)
    assert_ledgers_agree(sandbox_stripe)


def test_an_order_beyond_the_stock_never_reaches_the_provider(
    alice: HttpStorefront, sandbox_stripe: SandboxServer
) -> None:
    calls = len(sandbox_stripe.calls())
    placed = alice.place(mugs=IN_STOCK + 1)

    order = alice.wait_for_end(placed["id"])

    assert (order["status"], order["reason"]) == ("cancelled", "Not enough of MUG is left.")
    assert len(sandbox_stripe.calls()) == calls
    assert_ledgers_agree(sandbox_stripe)


def test_an_order_is_cancelled_while_its_card_is_being_charged(
    alice: HttpStorefront, sandbox_stripe: SandboxServer
) -> None:
    rule = sandbox_stripe.add_fault("payment_intents.confirm", "hold", times=1)
    placed = alice.place()
    wait_until(lambda: sandbox_stripe.held(rule) == 1)

    alice.cancel(placed["id"])
    sandbox_stripe.release(rule)
    order = alice.wait_for_end(placed["id"])

    assert (order["status"], order["reason_code"]) == ("cancelled", "cancelled_by_customer")
    assert money_of(sandbox_stripe, UUID(order["id"])).kept_minor == 0
    assert_ledgers_agree(sandbox_stripe)


def test_an_order_is_cancelled_after_it_was_paid(
    alice: HttpStorefront, sandbox_stripe: SandboxServer
) -> None:
    placed = alice.place()
    wait_until(no_run_is_live)

    alice.cancel(placed["id"])
    order = alice.wait_for_end(placed["id"], among=("cancelled",))

    assert order["reason_code"] == "cancelled_by_customer"
    assert money_of(sandbox_stripe, UUID(order["id"])) == REFUNDED
    assert_ledgers_agree(sandbox_stripe)


@pytest.mark.destructive
def test_a_slow_provider_is_waited_for(
    alice: HttpStorefront, sandbox_stripe: SandboxServer
) -> None:
    sandbox_stripe.add_fault("payment_intents.confirm", "latency", latency_ms=1500)

    placed = alice.place()
    order = alice.wait_for_end(placed["id"])

    wait_until(no_run_is_live)
    assert order["status"] == "confirmed"
    assert set(StepAttempt.objects.values_list("number", "outcome")) == {(1, Outcome.DONE)}
    assert_ledgers_agree(sandbox_stripe)


@pytest.mark.destructive
def test_the_effect_of_a_lost_response_is_looked_up(
    alice: HttpStorefront, sandbox_stripe: SandboxServer
) -> None:
    sandbox_stripe.add_fault("payment_intents.confirm", "timeout_after", times=1)
    sandbox_stripe.add_fault("payment_intents.capture", "timeout_after", times=1)
    placed = [alice.place(), alice.place()]

    orders = [alice.wait_for_end(order["id"]) for order in placed]

    wait_until(no_run_is_live)
    assert [order["status"] for order in orders] == ["confirmed", "confirmed"]
    unknown = StepAttempt.objects.filter(outcome=Outcome.UNKNOWN).order_by("step")
    assert list(unknown.values_list("step", flat=True)) == ["authorize_payment", "capture_payment"]
    assert [money_of(sandbox_stripe, UUID(order["id"])) for order in orders] == [CHARGED, CHARGED]
    assert_ledgers_agree(sandbox_stripe)


@pytest.mark.destructive
def test_an_order_survives_a_kill_of_its_worker_during_the_charge(
    alice: HttpStorefront, sandbox_stripe: SandboxServer, installation: Installation
) -> None:
    rule = sandbox_stripe.add_fault("payment_intents.confirm", "hold_after", times=1)
    placed = alice.place()
    wait_until(lambda: sandbox_stripe.held(rule) == 1)

    installation.worker.kill()
    sandbox_stripe.release(rule)
    installation.replace_worker()
    order = alice.wait_for_end(placed["id"])

    wait_until(no_run_is_live)
    assert order["status"] == "confirmed"
    assert money_of(sandbox_stripe, UUID(order["id"])) == CHARGED
    assert StepAttempt.objects.get(outcome=Outcome.LOST).step == "authorize_payment"
    assert_ledgers_agree(sandbox_stripe)


@pytest.mark.destructive
def test_a_burst_of_orders_survives_the_loss_of_every_message(
    alice: HttpStorefront, sandbox_stripe: SandboxServer, installation: Installation
) -> None:
    rule = sandbox_stripe.add_fault("payment_intents.confirm", "hold")
    placed = [alice.place() for _ in range(BURST)]
    wait_until(lambda: sandbox_stripe.held(rule) >= SLOTS and installation.messages_waiting() > 0)

    with installation.redis as broker:
        broker.flushall()
    sandbox_stripe.clear_faults()
    orders = [alice.wait_for_end(order["id"]) for order in placed]

    wait_until(no_run_is_live)
    assert [order["status"] for order in orders] == ["confirmed"] * BURST
    assert_ledgers_agree(sandbox_stripe)


@pytest.mark.destructive
def test_an_order_is_accepted_without_a_broker_and_ends_once_there_is_one(
    alice: HttpStorefront, sandbox_stripe: SandboxServer, installation: Installation
) -> None:
    installation.broker.kill()

    placed = alice.place()
    assert Order.objects.get().status == OrderStatus.PLACED
    installation.web.wait_for_line("broker.unreachable")  # its message is lost
    installation.replace_broker()
    order = alice.wait_for_end(placed["id"])

    wait_until(no_run_is_live)
    assert order["status"] == "confirmed"
    assert money_of(sandbox_stripe, UUID(order["id"])) == CHARGED
    assert_ledgers_agree(sandbox_stripe)


@pytest.mark.destructive
def test_a_worker_without_its_broker_is_unhealthy_until_messages_arrive_again(
    installation: Installation, transactional_db: None
) -> None:
    installation.send_heartbeat("checkout")
    wait_until(lambda: is_healthy("checkout"))
    WorkerHeartbeat.objects.update(taken_at=Now() - SILENT_AFTER)  # forget the earlier heartbeats

    installation.broker.kill()
    with pytest.raises(kombu.exceptions.OperationalError):
        installation.send_heartbeat("checkout")
    was_healthy = is_healthy("checkout")
    installation.replace_broker()

    def is_healthy_after_a_message() -> bool:
        installation.send_heartbeat("checkout")  # repeated, as beat does, because one may be lost
        return is_healthy("checkout")

    wait_until(is_healthy_after_a_message)
    assert not was_healthy
    assert not is_healthy("sweeps")


def is_healthy(queue: str) -> bool:
    """Return the result of a container's health check."""
    try:
        call_command("check_worker", queue=queue, stdout=StringIO())
    except CommandError:
        return False
    return True


def test_a_message_with_a_huge_task_name_costs_little_cpu_time(
    installation: Installation,
) -> None:
    worker = installation.worker
    rejected = worker.logged(UNREGISTERED)
    before = worker.cpu_seconds()

    installation.send_task("1-" * 7_500, "sweeps")

    worker.wait_for_line(UNREGISTERED, times=rejected + 1)
    assert worker.cpu_seconds() - before < MOST_CPU_SECONDS
