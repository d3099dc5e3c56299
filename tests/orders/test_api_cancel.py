"""Cancelling through the API, in every status: the money and the stock go back."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.db import connections

from orders.models import Order, OrderTransition
from payments.models import Payment
from payments.states import PaymentStatus
from sagas.models import SagaRun
from sandbox.stripe_process import SandboxServer
from tests.support.in_memory_broker import MessageQueue
from tests.support.ledger_checks import Account, account_of
from tests.support.shelf import Shelf
from tests.support.storefront_client import ORDERS, Storefront, cart, everything

MUG = cart(("MUG", 2))
LET_GO = Account(charges=1, held_minor=0, kept_minor=0)
GIVEN_UP_AFTER = 60.0


@pytest.fixture(autouse=True)
def _sandbox_stripe(sandbox_stripe: SandboxServer) -> None:
    """All orders of these tests are paid at the sandbox."""


def test_before_checkout_has_begun_nothing_was_ever_held(
    storefront: Storefront, shelf: Shelf, messages: MessageQueue
) -> None:
    order_id = storefront.order(MUG).order_id

    answer = storefront.cancel(order_id)
    messages.deliver_all()

    assert (answer.status, answer.body["status"]) == (202, "placed")
    assert answer.headers["Location"] == f"{ORDERS}/{order_id}"
    assert answer.headers["Retry-After"] == "1"
    assert_cancelled(storefront)
    assert shelf.level("MUG") == (5, 0)
    assert not Payment.objects.exists()


def test_while_the_bank_is_asked_the_money_is_let_go(
    storefront: Storefront, shelf: Shelf, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    order_id = storefront.order(MUG).order_id
    rule = sandbox_stripe.add_fault("payment_intents.confirm", "hold", times=1)
    with ThreadPoolExecutor(1) as worker:
        delivery = worker.submit(deliver_first, messages)
        wait_until_held(sandbox_stripe, rule)
        answer = storefront.cancel(order_id)
        sandbox_stripe.release(rule)
        delivery.result()
    messages.deliver_all()

    assert (answer.status, answer.body["status"]) == (202, "placed")
    assert_cancelled(storefront)
    assert shelf.level("MUG") == (5, 0)
    assert Payment.objects.get().status == PaymentStatus.VOIDED
    assert account_of(sandbox_stripe, order_id) == LET_GO


def test_after_confirmation_and_before_capture_the_money_is_let_go(
    storefront: Storefront, shelf: Shelf, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    order_id = storefront.order(MUG).order_id
    messages.deliver(messages.take())

    answer = storefront.cancel(order_id)
    messages.deliver_all()

    assert (answer.status, answer.body["status"]) == (202, "confirmed")
    assert_cancelled(storefront)
    assert shelf.level("MUG") == (5, 0)
    assert Payment.objects.get().status == PaymentStatus.VOIDED
    assert account_of(sandbox_stripe, order_id) == LET_GO


def test_after_capture_the_money_is_given_back(
    storefront: Storefront, shelf: Shelf, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    order_id = storefront.order(MUG).order_id
    messages.deliver_all()

    answer = storefront.cancel(order_id)
    messages.deliver_all()

    assert (answer.status, answer.body["status"]) == (202, "cancelling")
    assert answer.body["reason_code"] == "cancelled_by_customer"
    began = SagaRun.objects.get(saga="cancellation").created_at.isoformat()
    assert answer.body["cancel_requested_at"] == began.replace("+00:00", "Z")
    assert_cancelled(storefront)
    assert shelf.level("MUG") == (5, 0)
    assert Payment.objects.get().status == PaymentStatus.REFUNDED
    assert account_of(sandbox_stripe, order_id) == LET_GO


def test_an_accepted_cancel_is_seen_wherever_the_order_is_shown(storefront: Storefront) -> None:
    """No status has changed yet, as during a call to the provider."""
    order_id = storefront.order(MUG).order_id
    before = storefront.get(f"{ORDERS}/{order_id}"), storefront.get(ORDERS)

    accepted = storefront.cancel(order_id)

    after = storefront.get(f"{ORDERS}/{order_id}"), storefront.get(ORDERS)
    asked_at = SagaRun.objects.values_list("compensation_requested_at", flat=True).get()
    assert asked_at is not None
    for shown in (accepted.body, after[0].body, after[1].body["results"][0]):
        assert shown["cancel_requested_at"] == asked_at.isoformat().replace("+00:00", "Z")
        assert (shown["status"], shown["version"], shown["reason_code"]) == ("placed", 0, "")
        assert (shown["can_cancel"], shown["links"]["cancel"]) == (False, None)
        assert shown["allowed_transitions"] == ["cancelling"]  # it is not confirmed any more
        assert shown["updated_at"] == before[0].body["updated_at"]
    assert before[0].body["cancel_requested_at"] is None
    assert before[1].body["results"][0]["cancel_requested_at"] is None
    for earlier, later in zip(before, after, strict=True):
        assert earlier.headers["ETag"] != later.headers["ETag"]


def test_of_an_order_that_was_never_asked_back_no_cancel_is_shown(
    storefront: Storefront, messages: MessageQueue
) -> None:
    refused = storefront.order(cart(("MUG", 1), payment_method="pm_card_visa_chargeDeclined"))
    confirmed = storefront.order(MUG)
    messages.deliver_all()

    shown = [storefront.get(f"{ORDERS}/{e.order_id}").body for e in (refused, confirmed)]

    assert [order["status"] for order in shown] == ["cancelled", "confirmed"]
    assert [order["cancel_requested_at"] for order in shown] == [None, None]


def test_cancelling_again_under_another_key_changes_nothing(
    storefront: Storefront, messages: MessageQueue
) -> None:
    order_id = storefront.order(MUG).order_id
    messages.deliver_all()
    storefront.cancel(order_id)
    during = storefront.cancel(order_id)
    messages.deliver_all()
    before = business(everything())

    after = storefront.cancel(order_id)

    assert (during.status, during.body["status"], during.is_replayed) == (202, "cancelling", False)
    assert (after.status, after.body["status"], after.is_replayed) == (200, "cancelled", False)
    assert business(everything()) == before
    assert messages.waiting == []
    assert_cancelled(storefront)


def test_a_refused_order_stays_refused_when_it_is_cancelled(
    storefront: Storefront, messages: MessageQueue
) -> None:
    body = cart(("MUG", 1), payment_method="pm_card_visa_chargeDeclined")
    order_id = storefront.order(body).order_id
    messages.deliver_all()
    before = business(everything())

    answer = storefront.cancel(order_id)

    assert answer.body["reason_code"] == "payment_declined"
    assert business(everything()) == before
    assert messages.waiting == []


def test_nobody_cancels_somebody_elses_order(
    storefront: Storefront, stranger: Storefront, messages: MessageQueue
) -> None:
    order_id = storefront.order(MUG).order_id
    before = everything()

    answer = stranger.cancel(order_id)

    assert answer.is_problem(404, "not-found")
    assert everything() == before
    messages.deliver_all()
    assert Order.objects.get().status == "confirmed"


def test_who_cancelled_is_in_the_log(storefront: Storefront, messages: MessageQueue) -> None:
    order_id = storefront.order(MUG).order_id
    messages.deliver_all()

    storefront.cancel(order_id)

    move = OrderTransition.objects.get(target="cancelling")
    assert (move.cause, move.actor) == ("cancelled_by_customer", "alice")


def test_a_customer_with_the_longest_name_can_cancel_too(
    shelf: Shelf, messages: MessageQueue
) -> None:
    shelf.put("MUG", 5)
    customer = Storefront(User.objects.create(username="n" * 150))
    order_id = customer.order(MUG).order_id
    messages.deliver_all()

    answer = customer.cancel(order_id)

    assert (answer.status, answer.body["status"]) == (202, "cancelling")


def assert_cancelled(storefront: Storefront) -> None:
    """The only order is cancelled for this reason, and has no live run."""
    order = Order.objects.get()
    shown = storefront.get(f"{ORDERS}/{order.pk}").body
    assert (shown["status"], shown["reason_code"]) == ("cancelled", "cancelled_by_customer")
    assert shown["reason"] == "You cancelled this order."
    assert not SagaRun.objects.filter(wake_at__isnull=False).exists()


def business(tables: dict[str, list[object]]) -> dict[str, list[object]]:
    """All rows except idempotency keys, which each request writes."""
    return {name: rows for name, rows in tables.items() if name != "orders.IdempotencyRecord"}


def deliver_first(messages: MessageQueue) -> None:
    try:
        messages.deliver(messages.take())
    finally:
        connections.close_all()


def wait_until_held(sandbox_stripe: SandboxServer, rule: int) -> None:
    deadline = time.monotonic() + GIVEN_UP_AFTER
    pause = threading.Event()
    while not sandbox_stripe.held(rule):
        assert time.monotonic() < deadline
        pause.wait(0.01)
