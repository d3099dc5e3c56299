"""What must hold: in every state, over every move, and in the end."""

from collections.abc import Callable
from typing import Final

from proof.protocol.bank import CREATED, DECLINED, HELD, LAPSED, TAKEN
from proof.protocol.state import HELD as RESERVED
from proof.protocol.state import NO_INTENT, SOLD, Order, World
from proof.protocol.tables import (
    CANCELLED,
    CANCELLING,
    COMPLETED,
    CONFIRMED,
    INTENDED,
    ORDER_MOVES,
    PAYMENT_MOVES,
    PLACED,
    RUN_MOVES,
    Move,
)


def violation(world: World) -> str:
    """Return what is wrong with ``world``; empty when nothing is."""
    on_hold = sum(each.reservation in (RESERVED, SOLD) for each in world.orders)
    confirmed = sum(each.status == CONFIRMED for each in world.orders)
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
    return sum(each in (HELD, TAKEN) for each in order.bank.intents) > 1


def _has_needless_intent(order: Order) -> bool:
    return len(order.bank.intents) > 1 and not order.bank.may_forget


def _is_charged_early(order: Order) -> bool:
    return order.status == PLACED and TAKEN in order.bank.intents


def _is_confirmed_without_money(order: Order) -> bool:
    return order.status == CONFIRMED and not {HELD, TAKEN, LAPSED} & set(order.bank.intents)


def _is_confirmed_without_stock(order: Order) -> bool:
    return order.status == CONFIRMED and order.reservation != SOLD


def _turned_back_for_nothing(order: Order) -> bool:
    return order.run.cause == "stock_lost"


def _is_called_declined_wrongly(order: Order) -> bool:
    asked_last = order.payment.status == INTENDED and order.status == CANCELLING
    return order.run.cause == DECLINED and asked_last and HELD in order.bank.intents


def _has_forgotten_the_cancel(order: Order) -> bool:
    return order.run.status == COMPLETED and order.run.turn_back_wished


def _is_cancelled_with_money(order: Order) -> bool:
    return order.status == CANCELLED and bool({HELD, TAKEN} & set(order.bank.intents))


def _is_cancelled_and_confirmable(order: Order) -> bool:
    known = order.payment.intent
    if order.status != CANCELLED or known == NO_INTENT:
        return False
    return order.bank.intents[known] in (CREATED, DECLINED)


def _is_cancelled_with_stock(order: Order) -> bool:
    return order.status == CANCELLED and order.reservation in (RESERVED, SOLD)


FORBIDDEN: Final[tuple[tuple[str, Callable[[Order], bool]], ...]] = (
    ("double charge", _is_charged_twice),
    ("second intent under a known key", _has_needless_intent),
    ("charged before it was confirmed", _is_charged_early),
    ("confirmed without money", _is_confirmed_without_money),
    ("confirmed without stock", _is_confirmed_without_stock),
    ("a sound order turned back", _turned_back_for_nothing),
    ("called declined, and the bank said yes", _is_called_declined_wrongly),
    ("the customer's cancel was forgotten", _has_forgotten_the_cancel),
    ("cancelled with money held or taken", _is_cancelled_with_money),
    ("cancelled and still confirmable", _is_cancelled_and_confirmable),
    ("cancelled with stock on hold", _is_cancelled_with_stock),
)
"""What may be true of an order in no state at all. That no more is refunded than was taken is the
bank's to refuse; asking for it all the same leaves an order stuck."""


def steps_taken(before: World, after: World) -> set[tuple[str, Move]]:
    """Return the changes of status between two worlds: of which kind, from where to where."""
    found = set()
    for was, is_ in zip(before.orders, after.orders, strict=True):
        if was.status != is_.status:
            found.add(("order", (was.status, is_.status)))
        if was.payment.status not in ("", is_.payment.status):
            found.add(("payment", (was.payment.status, is_.payment.status)))
        if was.run.saga == is_.run.saga and was.run.status != is_.run.status:
            found.add(("run", (was.run.status, is_.run.status)))
    return found


ALLOWED: Final = {
    *(("order", each) for each in ORDER_MOVES),
    *(("payment", each) for each in PAYMENT_MOVES),
    *(("run", each) for each in RUN_MOVES),
}


def is_good_end(world: World) -> bool:
    """Every order confirmed and paid, or cancelled; nobody is at work any more."""
    return not world.workers and all(map(_is_good, world.orders))


def _is_good(order: Order) -> bool:
    if order.run.is_live:
        return False
    if order.status == CONFIRMED:
        return TAKEN in order.bank.intents
    return order.status == CANCELLED
