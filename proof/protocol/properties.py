"""The properties: of every state, of every move, and of the end."""

from collections.abc import Callable
from typing import Final

from proof.protocol.provider import AUTHORIZATION_EXPIRED, CREATED, DECLINED, HELD, TAKEN
from proof.protocol.state import HELD as RESERVED
from proof.protocol.state import NO, NO_INTENT, SOLD, TOLD, YES, Order, World
from proof.protocol.tables import (
    AUTHORIZED,
    CANCELLED,
    CANCELLING,
    CAPTURED,
    COMPLETED,
    CONFIRMED,
    ORDER_MOVES,
    PAYMENT_MOVES,
    PLACED,
    PREPARED,
    RUN_MOVES,
    RUNNING,
    Move,
)


def violation(world: World) -> str:
    """Return the violated property of ``world``; empty if it has none."""
    if _has_ended_before_its_child(world):
        return "ended before its child"
    if _sleeps_after_its_child(world):
        return "a parent sleeps although its child has ended"
    on_hold = sum(order.reservation in (RESERVED, SOLD) for order in world.orders)
    confirmed = sum(order.status == CONFIRMED for order in world.orders)
    if world.shelf < 0 or confirmed > world.units:
        return "oversold"
    if world.shelf + on_hold != world.units:
        return "stock lost" if world.shelf + on_hold < world.units else "stock released twice"
    for order in world.orders:
        for wrong, is_wrong in FORBIDDEN:
            if is_wrong(order):
                return wrong
    return ""


def _is_charged_twice(order: Order) -> bool:
    return sum(intent in (HELD, TAKEN) for intent in order.provider.intents) > 1


def _has_needless_intent(order: Order) -> bool:
    is_needless = len(order.provider.intents) > len(order.payments)
    return is_needless and not order.provider.may_forget


def _is_charged_early(order: Order) -> bool:
    return order.status == PLACED and TAKEN in order.provider.intents


def _is_confirmed_without_money(order: Order) -> bool:
    return order.status == CONFIRMED and not {HELD, TAKEN, AUTHORIZATION_EXPIRED} & set(
        order.provider.intents
    )


def _is_confirmed_without_stock(order: Order) -> bool:
    return order.status == CONFIRMED and order.reservation != SOLD


def _compensated_without_reason(order: Order) -> bool:
    return order.run.cause == "stock_lost"


def _is_called_declined_wrongly(order: Order) -> bool:
    asked_last = order.payment.status == PREPARED and order.status == CANCELLING
    return order.run.cause == DECLINED and asked_last and HELD in order.provider.intents


def _has_forgotten_the_cancel(order: Order) -> bool:
    return order.run.status == COMPLETED and order.run.compensation_requested


def _is_cancelled_with_money(order: Order) -> bool:
    return order.status == CANCELLED and bool({HELD, TAKEN} & set(order.provider.intents))


def _is_cancelled_and_confirmable(order: Order) -> bool:
    known = {payment.intent for payment in order.payments} - {NO_INTENT}
    return order.status == CANCELLED and any(
        order.provider.intents[intent] in (CREATED, DECLINED) for intent in known
    )


def _counts_for_another(order: Order) -> bool:
    payment = order.payment
    is_recorded = payment.status in (AUTHORIZED, CAPTURED) and not payment.is_closed
    if not order.earlier or not is_recorded:
        return False
    paid = (HELD, TAKEN, AUTHORIZATION_EXPIRED)
    return payment.intent == NO_INTENT or order.provider.intents[payment.intent] not in paid


def _is_cancelled_with_stock(order: Order) -> bool:
    return order.status == CANCELLED and order.reservation in (RESERVED, SOLD)


def _has_ended_before_its_child(world: World) -> bool:
    return any(
        order.run.is_live and order.parent >= 0 and not world.orders[order.parent].run.is_live
        for order in world.orders
    )


def _sleeps_after_its_child(world: World) -> bool:
    parents = {order.parent for order in world.orders if order.parent >= 0}
    live = {order.parent for order in world.orders if order.run.is_live}
    return any(_is_asleep(world.orders[number]) for number in parents - live)


def _is_asleep(order: Order) -> bool:
    run = order.run
    return bool(run.waits_for) and not (run.wakes or run.lease or order.messages)


def _has_lost_a_nudge(order: Order) -> bool:
    run = order.run
    if not _is_asleep(order) or run.status != RUNNING:
        return False
    has_answer = any(wait == run.waits_for and answer in (YES, NO) for wait, answer in order.facts)
    return has_answer or (run.rests and TOLD in order.facts)


FORBIDDEN: Final[tuple[tuple[str, Callable[[Order], bool]], ...]] = (
    ("double charge", _is_charged_twice),
    ("second intent under a known key", _has_needless_intent),
    ("charged before it was confirmed", _is_charged_early),
    ("confirmed without money", _is_confirmed_without_money),
    ("a payment counts for the result of another one's call", _counts_for_another),
    ("confirmed without stock", _is_confirmed_without_stock),
    ("compensated without a reason", _compensated_without_reason),
    ("called declined, and the provider said yes", _is_called_declined_wrongly),
    ("the customer's cancel was forgotten", _has_forgotten_the_cancel),
    ("cancelled with money held or taken", _is_cancelled_with_money),
    ("cancelled and still confirmable", _is_cancelled_and_confirmable),
    ("cancelled with stock on hold", _is_cancelled_with_stock),
    ("a nudge was lost", _has_lost_a_nudge),
)
"""What must not be true of an order in any state. The provider itself rejects a refund of more than was
taken; requesting one leaves the order stuck."""


def steps_taken(before: World, after: World) -> set[tuple[str, Move]]:
    """Return the changes of status between two worlds: their kind, source and target.

    An order that starts between them, a child, has none yet.
    """
    found = set()
    for was, is_ in zip(before.orders, after.orders, strict=False):
        if was.status != is_.status:
            found.add(("order", (was.status, is_.status)))
        if was.payment.status not in ("", is_.payment.status):
            found.add(("payment", (was.payment.status, is_.payment.status)))
        if was.run.saga == is_.run.saga and was.run.status != is_.run.status:
            found.add(("run", (was.run.status, is_.run.status)))
    return found


ALLOWED: Final = {
    *(("order", move) for move in ORDER_MOVES),
    *(("payment", move) for move in PAYMENT_MOVES),
    *(("run", move) for move in RUN_MOVES),
}


def is_good_end(world: World) -> bool:
    """Return whether every order is confirmed and paid, or cancelled, and no worker is busy."""
    return not world.workers and all(map(_is_good, world.orders))


WITHOUT_MONEY: Final = ("parent", "child")
"""The sagas of ``family``."""


def _is_good(order: Order) -> bool:
    if order.run.is_live:
        return False
    if order.run.saga in WITHOUT_MONEY:
        return order.run.status == COMPLETED or order.status == CANCELLED
    if order.status == CONFIRMED:
        return TAKEN in order.provider.intents
    return order.status == CANCELLED
