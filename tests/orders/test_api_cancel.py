"""Cancelling through the API in every status: money and stock are returned."""

import pytest
from django.contrib.auth.models import User

from orders.models import Order, OrderTransition
from payments.models import Payment
from payments.states import PaymentStatus
from sagas.models import SagaRun
from sandbox.stripe_process import SandboxServer
from tests.support.database import all_rows
from tests.support.in_memory_broker import MessageQueue
from tests.support.provider_ledger import OrderMoney, money_of
from tests.support.shop import Shelf
from tests.support.storefront_client import ORDERS, Storefront, cart
from tests.support.threads import in_background
from tests.support.waits import wait_until

MUG = cart(("MUG", 2))
NOTHING_KEPT = OrderMoney(charges=1, held_minor=0, kept_minor=0)


@pytest.fixture(autouse=True)
def _sandbox_stripe(sandbox_stripe: SandboxServer) -> None:
    """All orders of these tests are paid at the sandbox."""


def test_cancelling_before_checkout_begins_reserves_nothing(
    storefront: Storefront, shelf: Shelf, messages: MessageQueue
) -> None:
    order_id = storefront.order(MUG).order_id

    response = storefront.cancel(order_id)
    messages.deliver_all()

    assert (response.status, response.body["status"]) == (202, "placed")
    assert response.headers["Location"] == f"{ORDERS}/{order_id}"
    assert response.headers["Retry-After"] == "1"
    assert_cancelled(storefront)
    assert shelf.level("MUG") == (5, 0)
    assert not Payment.objects.exists()


def test_cancelling_during_a_confirm_call_voids_the_payment(
    storefront: Storefront, shelf: Shelf, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    order_id = storefront.order(MUG).order_id
    rule = sandbox_stripe.add_fault("payment_intents.confirm", "hold", times=1)
    with in_background(lambda: messages.deliver(messages.take())):
        wait_until(lambda: sandbox_stripe.held(rule) == 1)
        response = storefront.cancel(order_id)
        sandbox_stripe.release(rule)
    messages.deliver_all()

    assert (response.status, response.body["status"]) == (202, "placed")
    assert_cancelled(storefront)
    assert shelf.level("MUG") == (5, 0)
    assert Payment.objects.get().status == PaymentStatus.VOIDED
    assert money_of(sandbox_stripe, order_id) == NOTHING_KEPT


def test_cancelling_before_the_capture_voids_the_payment(
    storefront: Storefront, shelf: Shelf, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    order_id = storefront.order(MUG).order_id
    messages.deliver(messages.take())

    response = storefront.cancel(order_id)
    messages.deliver_all()

    assert (response.status, response.body["status"]) == (202, "confirmed")
    assert_cancelled(storefront)
    assert shelf.level("MUG") == (5, 0)
    assert Payment.objects.get().status == PaymentStatus.VOIDED
    assert money_of(sandbox_stripe, order_id) == NOTHING_KEPT


def test_cancelling_after_the_capture_refunds_the_payment(
    storefront: Storefront, shelf: Shelf, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    order_id = storefront.order(MUG).order_id
    messages.deliver_all()

    response = storefront.cancel(order_id)
    messages.deliver_all()

    assert (response.status, response.body["status"]) == (202, "cancelling")
    assert response.body["reason_code"] == "cancelled_by_customer"
    began = SagaRun.objects.get(saga="cancellation").created_at.isoformat()
    assert response.body["cancel_requested_at"] == began.replace("+00:00", "Z")
    assert_cancelled(storefront)
    assert shelf.level("MUG") == (5, 0)
    assert Payment.objects.get().status == PaymentStatus.REFUNDED
    assert money_of(sandbox_stripe, order_id) == NOTHING_KEPT


def test_every_view_of_the_order_shows_an_accepted_cancellation(storefront: Storefront) -> None:
    """The status has not changed yet, for example during a call to the provider."""
    order_id = storefront.order(MUG).order_id
    before = storefront.get(f"{ORDERS}/{order_id}"), storefront.get(ORDERS)

    accepted = storefront.cancel(order_id)

    after = storefront.get(f"{ORDERS}/{order_id}"), storefront.get(ORDERS)
    requested_at = SagaRun.objects.values_list("compensation_requested_at", flat=True).get()
    assert requested_at is not None
    for shown in (accepted.body, after[0].body, after[1].body["results"][0]):
        assert shown["cancel_requested_at"] == requested_at.isoformat().replace("+00:00", "Z")
        assert (shown["status"], shown["version"], shown["reason_code"]) == ("placed", 0, "")
        assert (shown["can_cancel"], shown["links"]["cancel"]) == (False, None)
        assert shown["allowed_transitions"] == ["cancelling"]  # it can no longer be confirmed
        assert shown["updated_at"] == before[0].body["updated_at"]
    assert before[0].body["cancel_requested_at"] is None
    assert before[1].body["results"][0]["cancel_requested_at"] is None
    for earlier, later in zip(before, after, strict=True):
        assert earlier.headers["ETag"] != later.headers["ETag"]


def test_an_order_without_a_cancellation_request_shows_none(
    storefront: Storefront, messages: MessageQueue
) -> None:
    refused = storefront.order(cart(("MUG", 1), payment_method="pm_card_visa_chargeDeclined"))
    confirmed = storefront.order(MUG)
    messages.deliver_all()

    shown = [storefront.get(f"{ORDERS}/{order.order_id}").body for order in (refused, confirmed)]

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
    before = without_keys(all_rows())

    after = storefront.cancel(order_id)

    assert (during.status, during.body["status"], during.is_replayed) == (202, "cancelling", False)
    assert (after.status, after.body["status"], after.is_replayed) == (200, "cancelled", False)
    assert without_keys(all_rows()) == before
    assert messages.waiting == []
    assert_cancelled(storefront)


def test_cancelling_a_declined_order_keeps_its_reason(
    storefront: Storefront, messages: MessageQueue
) -> None:
    body = cart(("MUG", 1), payment_method="pm_card_visa_chargeDeclined")
    order_id = storefront.order(body).order_id
    messages.deliver_all()
    before = without_keys(all_rows())

    response = storefront.cancel(order_id)

    assert response.body["reason_code"] == "payment_declined"
    assert without_keys(all_rows()) == before
    assert messages.waiting == []


def test_a_customer_cannot_cancel_the_order_of_another(
    storefront: Storefront, stranger: Storefront, messages: MessageQueue
) -> None:
    order_id = storefront.order(MUG).order_id
    before = all_rows()

    response = stranger.cancel(order_id)

    assert response.is_problem(404, "not-found")
    assert all_rows() == before
    messages.deliver_all()
    assert Order.objects.get().status == "confirmed"


def test_the_log_of_transitions_names_the_customer_who_cancelled(
    storefront: Storefront, messages: MessageQueue
) -> None:
    order_id = storefront.order(MUG).order_id
    messages.deliver_all()

    storefront.cancel(order_id)

    move = OrderTransition.objects.get(target="cancelling")
    assert (move.cause, move.actor) == ("cancelled_by_customer", "alice")


def test_a_customer_with_the_longest_name_can_cancel(shelf: Shelf, messages: MessageQueue) -> None:
    shelf.put("MUG", 5)
    customer = Storefront(User.objects.create(username="n" * 150))
    order_id = customer.order(MUG).order_id
    messages.deliver_all()

    response = customer.cancel(order_id)

    assert (response.status, response.body["status"]) == (202, "cancelling")


def assert_cancelled(storefront: Storefront) -> None:
    """Assert that the only order is cancelled by its customer and has no live run."""
    order = Order.objects.get()
    shown = storefront.get(f"{ORDERS}/{order.pk}").body
    assert (shown["status"], shown["reason_code"]) == ("cancelled", "cancelled_by_customer")
    assert shown["reason"] == "You cancelled this order."
    assert not SagaRun.objects.filter(wake_at__isnull=False).exists()


def without_keys(tables: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return all rows except idempotency keys, which every request writes."""
    return {name: rows for name, rows in tables.items() if name != "orders.IdempotencyRecord"}
