"""The proof after the drive: money, orders, stock and queues, each compared with another witness."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import redis

from sandbox.drive.deadlines import Patience
from sandbox.drive.provider_ledger import BankIntent
from sandbox.drive.shop import Order, Product

QUEUES: Final = ("checkout", "settlement", "compensation", "sweeps")
IDLE_SECONDS: Final = 60
CONFIRMED: Final = "confirmed"


class Check(NamedTuple):
    name: str
    ok: bool
    detail: str


def no_ghost_charges(book: Mapping[str, BankIntent], orders: Mapping[str, Order]) -> Check:
    """Compare what the bank holds or took for each order with what the order is worth."""
    at_bank: Counter[str] = Counter()
    for intent in book.values():
        at_bank[intent.order_id] += intent.held_minor + intent.taken_minor
    owed = {order.id: order.total_minor for order in orders.values() if order.status == CONFIRMED}
    wrong = [
        f"order {order_id or '(none)'}: {at_bank[order_id]} at the bank, {owed.get(order_id, 0)} owed"
        for order_id in sorted(at_bank.keys() | owed.keys())
        if at_bank[order_id] != owed.get(order_id, 0)
    ]
    detail = f"in minor units: {sum(at_bank.values())} at the bank, {sum(owed.values())} for {len(owed)} orders"
    return Check("0 ghost charges", not wrong, "; ".join(wrong) or detail)


def charged_once(book: Mapping[str, BankIntent], orders: Mapping[str, Order]) -> Check:
    """Count the charges that the card accepted: one for a confirmed order, and for no other more."""
    charges: Counter[str] = Counter()
    for intent in book.values():
        charges[intent.order_id] += intent.charges
    wrong = [
        f"order {order.id} ({order.status}): {charges[order.id]} charges"
        for order in orders.values()
        if charges[order.id] > 1 or (order.status == CONFIRMED and charges[order.id] == 0)
    ]
    detail = f"{sum(charges.values())} charges, none of them twice"
    return Check("each card charged once", not wrong, "; ".join(wrong) or detail)


def no_lost_orders(accepted: Sequence[str], orders: Mapping[str, Order]) -> Check:
    """Look for orders that were accepted and have no end."""
    lost = [order_id for order_id in accepted if order_id not in orders]
    detail = f"{len(accepted)} accepted, {len(orders)} ended"
    return Check("0 lost orders", not lost, ", ".join(lost) or detail)


def stock_conserved(
    before: Mapping[str, Product], after: Mapping[str, Product], orders: Mapping[str, Order]
) -> Check:
    """Compare what has left the shelves with what the confirmed orders hold."""
    sold: Counter[str] = Counter()
    for order in orders.values():
        if order.status == CONFIRMED:
            sold.update(order.sold)
    wrong = [
        f"{sku}: {before[sku].available} before, {sold[sku]} sold, {after[sku].available} after"
        for sku in before
        if before[sku].available - sold[sku] != after[sku].available
    ]
    detail = f"{sold.total()} items sold, everything else back on its shelf"
    return Check("stock conserved", not wrong, "; ".join(wrong) or detail)


def queues_idle(redis_url: str, key_prefix: str, patience: Patience) -> Check:
    """Wait until no message waits; sweeps keep ticking, so a moment is enough.

    What a killed worker had in hand is not counted: it is handed out again minutes later, finds
    its order done, and changes nothing.
    """
    with redis.Redis.from_url(redis_url) as broker:
        for _ in patience.tries(IDLE_SECONDS, pause=0.05, longest=0.2):
            waiting = {queue: int(broker.llen(f"{key_prefix}{queue}")) for queue in QUEUES}
            if not any(waiting.values()):
                return Check("queues idle", ok=True, detail="no message waits")
    return Check("queues idle", ok=False, detail=str(waiting))
