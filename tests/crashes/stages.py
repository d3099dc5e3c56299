"""Orders brought to the moment before one message is delivered."""

from orders.models import Order
from tests.shop import IN_STOCK, Shop


def placed(shop: Shop) -> Order:
    return shop.place()


def placed_with_a_card_to_be_declined(shop: Shop) -> Order:
    return shop.place("pm_card_visa_chargeDeclined")


def placed_for_more_than_there_is(shop: Shop) -> Order:
    return shop.place(mugs=IN_STOCK + 1)


def authorized(shop: Shop) -> Order:
    order = shop.place()
    shop.deliver_next()
    return order


def authorized_and_asked_to_turn_back(shop: Shop) -> Order:
    order = authorized(shop)
    shop.cancel(order)
    return order


def declined(shop: Shop) -> Order:
    order = placed_with_a_card_to_be_declined(shop)
    shop.deliver_next()
    return order


def turned_back_while_authorized(shop: Shop) -> Order:
    order = authorized_and_asked_to_turn_back(shop)
    shop.deliver_next()
    return order


def turned_back_while_nobody_knows_of_the_capture(shop: Shop) -> Order:
    order = authorized(shop)
    shop.bank.add_fault("payment_intents.capture", "reset_after", times=1)
    shop.deliver_next()
    shop.cancel(order)
    shop.deliver_next()
    return order


def cancelled_after_capture(shop: Shop) -> Order:
    order = shop.place()
    shop.messages.deliver_all()
    shop.cancel(order)
    return order
