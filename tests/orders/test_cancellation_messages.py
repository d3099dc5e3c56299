"""The customer's message about a cancellation: helpful, without secrets of issuers."""

import pytest

from orders.cancellation_messages import cancellation_message
from orders.models import Order
from orders.states import OrderStatus
from sandbox.stripe_api.cards import TEST_CARDS
from sandbox.stripe_process import SandboxServer
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import ORDERS, Storefront, cart

DECLINED = "Your card was declined."

DECLINES = {
    "pm_card_visa_chargeDeclined": DECLINED,
    "pm_card_visa_chargeDeclinedLostCard": DECLINED,
    "pm_card_visa_chargeDeclinedStolenCard": DECLINED,
    "pm_card_chargeDeclinedFraudulent": DECLINED,
    "pm_card_visa_chargeDeclinedInsufficientFunds": "Your card has insufficient funds.",
    "pm_card_visa_chargeDeclinedExpiredCard": "Your card has expired.",
    "pm_card_visa_chargeDeclinedIncorrectCvc": "Your card's security code is incorrect.",
    "pm_card_visa_chargeDeclinedProcessingError": "Your bank could not process the payment.",
    "pm_card_visa_chargeDeclinedVelocityLimitExceeded": (
        "Your card has reached its limit of balance or credit."
    ),
    "pm_card_authenticationRequired": "Your bank asks you to authenticate the payment.",
    "pm_card_unknown": "This payment method does not exist.",
}
SECRET = ("lost_card", "stolen_card", "fraudulent")


@pytest.mark.parametrize(("payment_method", "message"), DECLINES.items(), ids=DECLINES.keys())
def test_a_declined_payment_is_explained_without_secrets(
    storefront: Storefront,
    sandbox_stripe: SandboxServer,
    messages: MessageQueue,
    payment_method: str,
    message: str,
) -> None:
    order_id = storefront.order(cart(("MUG", 1), payment_method=payment_method)).order_id
    messages.deliver_all()

    shown = storefront.get(f"{ORDERS}/{order_id}").body
    timeline = storefront.get(f"{ORDERS}/{order_id}/timeline").body

    assert (shown["status"], shown["reason"]) == ("cancelled", message)
    assert shown["reason_code"] == "payment_declined"
    assert [code for code in SECRET if code in f"{shown} {timeline}"] == []


def test_every_declining_test_card_is_in_the_table() -> None:
    declining = {card.decline for card in TEST_CARDS.values() if card.decline}

    assert declining == {TEST_CARDS[name].decline for name in DECLINES if name in TEST_CARDS} - {
        None
    }


@pytest.mark.parametrize(
    ("code", "detail", "message"),
    [
        ("out_of_stock", "MUG", "Not enough of MUG is left."),
        ("cancelled_by_customer", "", "You cancelled this order."),
        ("capture_payment_unanswered", "lost", "This order could not be completed."),
        ("payment_declined", "an_unknown_code", DECLINED),
        (
            "payment_declined",
            "authorization_expired",
            "Your bank's authorization of the payment has expired.",
        ),
        ("", "", ""),
    ],
)
def test_every_kind_of_cancellation_has_a_message(code: str, detail: str, message: str) -> None:
    assert cancellation_message(Order(reason=code, reason_detail=detail)) == message


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (
            OrderStatus.CANCELLING,
            "The payment service did not answer. Any reserved money is being released.",
        ),
        (OrderStatus.CANCELLED, "The payment service did not answer. You have not been charged."),
    ],
)
def test_the_message_promises_no_charge_only_after_compensation(
    status: OrderStatus, message: str
) -> None:
    order = Order(
        status=status, reason="authorize_payment_unanswered", reason_detail="OutcomeUnknown"
    )

    assert cancellation_message(order) == message
