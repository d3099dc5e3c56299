"""The ways to order carts whose orders wait: for their customers, or for a review by the shop."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

from sandbox.drive.approvals import APPROVE, REJECT
from sandbox.drive.order_placement import ScenarioContext
from sandbox.drive.shop import (
    ANOTHER_PAYMENT,
    AUTHENTICATION,
    CANCELLED,
    REVIEW,
    Cart,
    ShopOrder,
)

GOOD_CARD = "pm_card_visa"
GRACE = "15m"
"""The time that customers have to pay, with the settings of the all-in-one run."""
REVIEW_TIME = "1d"


def gives_up_when_declined(context: ScenarioContext, carts: Sequence[Cart]) -> list[ShopOrder]:
    """Cancel each order when its payment is declined: the customer has no other card."""

    def give_up(order: ShopOrder) -> ShopOrder:
        context.shop.cancel(order.id)
        return context.wait_for_end(order, CANCELLED)

    return _when_waiting(context, carts, ANOTHER_PAYMENT, give_up)


def pays_by_another_card(context: ScenarioContext, carts: Sequence[Cart]) -> list[ShopOrder]:
    """Pay each order by a good card when its payment is declined."""

    def pay(order: ShopOrder) -> ShopOrder:
        context.shop.pay(order.id, GOOD_CARD)
        return context.wait_for_end(order)

    return _when_waiting(context, carts, ANOTHER_PAYMENT, pay)


def authenticates(context: ScenarioContext, carts: Sequence[Cart]) -> list[ShopOrder]:
    """Complete the authentication of each payment at Stripe's sandbox, and say that it is done."""

    def authenticate(order: ShopOrder) -> ShopOrder:
        context.required_stripe.authenticate(order.intent_to_authenticate)
        context.shop.check_payment(order.id)
        return context.wait_for_end(order)

    return _when_waiting(context, carts, AUTHENTICATION, authenticate)


def never_authenticates(context: ScenarioContext, carts: Sequence[Cart]) -> list[ShopOrder]:
    """Move past the time to authenticate, on the sandbox's clock."""
    return _past_the_deadline(context, carts, AUTHENTICATION, GRACE)


def reviewed(context: ScenarioContext, carts: Sequence[Cart]) -> list[ShopOrder]:
    """Approve the first order and reject the second one, and so on."""
    decisions: Iterator[str] = cycle((APPROVE, REJECT))
    orders = [_wait_for(context, context.place_order(cart), REVIEW) for cart in carts]
    for order, decision in zip(orders, decisions, strict=False):
        context.approvals.decide(order.id, decision)
    return [context.wait_for_end(order) for order in orders]


def never_reviewed(context: ScenarioContext, carts: Sequence[Cart]) -> list[ShopOrder]:
    """Move past the time of the review, on the sandbox's clock."""
    return _past_the_deadline(context, carts, REVIEW, REVIEW_TIME)


def _past_the_deadline(
    context: ScenarioContext, carts: Sequence[Cart], code: str, time: str
) -> list[ShopOrder]:
    orders = [_wait_for(context, context.place_order(cart), code) for cart in carts]
    context.advance_clock(time)
    return [context.wait_for_end(order) for order in orders]


def _when_waiting(
    context: ScenarioContext,
    carts: Sequence[Cart],
    code: str,
    act: Callable[[ShopOrder], ShopOrder],
) -> list[ShopOrder]:
    """Order all carts at once; call ``act`` for each order when it waits for ``code``."""

    def order(cart: Cart) -> ShopOrder:
        return act(_wait_for(context, context.place_order(cart), code))

    with ThreadPoolExecutor(len(carts)) as customers:
        return list(customers.map(order, carts))


def _wait_for(context: ScenarioContext, order: ShopOrder, code: str) -> ShopOrder:
    return context.shop.wait_until_it_waits(order.id, code)
