"""An order from placed to confirmed or cancelled, message by message, with the Stripe sandbox."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from pytest_django import Settings

from events.models import OutboxEvent
from inventory.models import Reservation, ReservationStatus
from orders.cancellation_messages import cancellation_message
from orders.models import Order
from orders.services import cancel_order, place_order
from orders.states import OrderStatus
from payments.models import Payment
from payments.services import ChargeLimits
from payments.states import PaymentStatus
from sagas.identifiers import new_id
from sagas.models import RunStatus, SagaRun
from sagas.sweep import sweep
from sandbox.stripe_process import SandboxServer
from tests.support.in_memory_broker import MessageQueue
from tests.support.shop import Shelf

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def placed(
    customer: User, shelf: Shelf, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> Order:
    shelf.put("MUG", 5)
    shelf.put("TEE", 5, price_minor=2500)
    return place_order(new_id(), customer, {"MUG": 2, "TEE": 1}, "pm_card_visa").order


def test_a_paid_order_is_confirmed_and_then_captured(
    placed: Order, shelf: Shelf, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    messages.deliver(messages.take())
    placed.refresh_from_db()

    assert placed.status == OrderStatus.CONFIRMED
    assert Payment.objects.get().status == PaymentStatus.AUTHORIZED

    messages.deliver_all()

    payment = Payment.objects.get()
    assert payment.status == PaymentStatus.CAPTURED
    assert SagaRun.objects.get().status == RunStatus.COMPLETED
    assert shelf.level("MUG") == (5, 2)
    assert list(OutboxEvent.objects.order_by("id").values_list("name", flat=True)) == [
        "order.placed",
        "stock.reserved",
        "payment.authorized",
        "order.confirmed",
        "payment.captured",
    ]


def test_a_cancel_after_completion_refunds_and_releases_stock(
    placed: Order, shelf: Shelf, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    messages.deliver_all()

    cancel_order(placed.pk, reason="cancelled_by_customer", actor="alice")
    messages.deliver_all()

    placed.refresh_from_db()
    assert placed.status == OrderStatus.CANCELLED
    assert Payment.objects.get().status == PaymentStatus.REFUNDED
    assert shelf.level("MUG") == (5, 0)
    assert shelf.level("TEE") == (5, 0)


def test_an_order_whose_reservation_is_lost_is_cancelled_and_its_payment_voided(
    placed: Order, shelf: Shelf, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    rule = sandbox_stripe.add_fault("payment_intents.confirm", "timeout_before", times=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sagas.runner.ActiveAttempt.time_limit", timedelta(seconds=2))
        messages.deliver(messages.take())
    assert sandbox_stripe.hits(rule) == 1
    Reservation.objects.filter(quantity=2).update(status=ReservationStatus.RELEASED)

    SagaRun.objects.update(not_before=None)
    sweep_and_deliver_all(messages)

    placed.refresh_from_db()
    assert (placed.status, placed.reason) == (OrderStatus.CANCELLED, "stock_lost")
    assert Payment.objects.get().status == PaymentStatus.VOIDED
    assert "order.confirmed" not in OutboxEvent.objects.values_list("name", flat=True)
    assert list(placed.transitions.values_list("target", flat=True)) == ["cancelling", "cancelled"]


@pytest.fixture
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accept every total, as if the account's own minimum were above the published one."""
    monkeypatch.setattr(
        "payments.services.charge_limits", lambda *_: ChargeLimits(1, 99_999_999_999, 1)
    )


@pytest.mark.parametrize(
    ("price_minor", "code", "sentence"),
    [
        (49, "amount_too_small", "The total is too small to be charged. You have not been charged."),
        (100_000_000, "amount_too_large",
         "The total is too large to be charged. You have not been charged."),
    ],
)  # fmt: skip
def test_an_order_that_the_provider_can_never_charge_is_cancelled_with_the_reason(
    unlimited: None,
    customer: User,
    shelf: Shelf,
    sandbox_stripe: SandboxServer,
    messages: MessageQueue,
    *,
    price_minor: int,
    code: str,
    sentence: str,
) -> None:
    shelf.put("PIN", 5, price_minor=price_minor)
    order = place_order(new_id(), customer, {"PIN": 1}, "pm_card_visa").order

    messages.deliver_all()

    order.refresh_from_db()
    assert (order.status, order.reason, order.reason_detail) == (
        OrderStatus.CANCELLED, "payment_rejected", code
    )  # fmt: skip
    assert cancellation_message(order) == sentence
    assert shelf.level("PIN") == (5, 0)
    assert Payment.objects.get().status == PaymentStatus.VOIDED
    assert SagaRun.objects.get().status == RunStatus.COMPENSATED
    assert [
        intent
        for intent in sandbox_stripe.ledger()["payment_intents"]
        if intent["amount"] == price_minor
    ] == []


def test_an_order_waits_while_the_api_key_is_wrong_and_then_continues(
    customer: User,
    shelf: Shelf,
    sandbox_stripe: SandboxServer,
    messages: MessageQueue,
    settings: Settings,
) -> None:
    shelf.put("MUG", 5)
    right_key, settings.STRIPE_API_KEY = settings.STRIPE_API_KEY, "wrong"
    order = place_order(new_id(), customer, {"MUG": 1}, "pm_card_visa").order

    messages.deliver_all()
    order.refresh_from_db()
    waiting = (order.status, shelf.level("MUG"))
    settings.STRIPE_API_KEY = right_key
    SagaRun.objects.update(not_before=None)
    sweep_and_deliver_all(messages)

    order.refresh_from_db()
    assert waiting == (OrderStatus.PLACED, (5, 1))
    assert order.status == OrderStatus.CONFIRMED


def sweep_and_deliver_all(messages: MessageQueue) -> None:
    SagaRun.objects.update(wake_at=Now())
    sweep()
    messages.deliver_all()
