"""An order whose card asks for 3-D Secure: it is cancelled, and no money stays at the provider."""

import pytest

from orders.models import Order
from orders.states import OrderStatus
from payments.models import Payment
from payments.services import customer_action
from payments.states import PaymentStatus
from tests.support.ledger_checks import assert_ledgers_agree
from tests.support.provider_ledger import NOTHING_MOVED, OrderMoney, intents_for, money_of
from tests.support.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)

CARD = "pm_card_authenticationRequired"


def assert_cancelled_without_money(shop: Shop, order: Order, money: OrderMoney) -> None:
    order.refresh_from_db()
    payment = Payment.objects.get()
    (intent,) = intents_for(shop.sandbox_stripe.ledger(), order.pk)
    assert (order.status, order.reason) == (OrderStatus.CANCELLED, "payment_declined")
    assert order.reason_detail == "authentication_required"
    assert payment.status == PaymentStatus.VOIDED
    assert (payment.next_action, payment.client_secret) == (None, "")
    assert intent["status"] == "canceled"
    assert money_of(shop.sandbox_stripe, order.pk) == money
    assert_ledgers_agree(shop.sandbox_stripe)


def test_an_order_whose_card_asks_for_authentication_is_cancelled(shop: Shop) -> None:
    order = shop.place(CARD)

    shop.messages.deliver_all()

    assert_cancelled_without_money(shop, order, NOTHING_MOVED)


def test_money_that_a_late_customer_lets_us_hold_is_released(shop: Shop) -> None:
    shop.sandbox_stripe.add_fault("payment_intents.cancel", "error_before", times=1)
    order = shop.place(CARD)
    shop.messages.deliver_all()
    payment = Payment.objects.get()
    assert payment.status == PaymentStatus.PREPARED
    assert customer_action(order.pk) is None
    held = shop.sandbox_stripe.authenticate(str(payment.provider_payment_id), "complete")

    shop.recover()

    assert held == "requires_capture"
    held_and_released = OrderMoney(charges=1, held_minor=0, kept_minor=0)
    assert_cancelled_without_money(shop, order, held_and_released)
