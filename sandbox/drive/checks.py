"""The checks after a drive: money, orders, stock and queues, each compared with a second source."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import redis

from sandbox.drive.deadlines import StopSignal
from sandbox.drive.provider_ledger import LedgerPayment
from sandbox.drive.shop import ShopOrder, ShopProduct

QUEUES: Final = ("checkout", "settlement", "compensation", "sweeps")
IDLE_SECONDS: Final = 60
CONFIRMED: Final = "confirmed"


class Check(NamedTuple):
    name: str
    ok: bool
    detail: str


def no_ghost_charges(
    payments: Mapping[str, LedgerPayment], orders: Mapping[str, ShopOrder]
) -> Check:
    """Compare what Stripe holds or has captured for each order with what the order owes."""
    at_stripe: Counter[str] = Counter()
    for payment in payments.values():
        at_stripe[payment.order_id] += payment.held_or_captured_minor
    owed = {order.id: order.total_minor for order in orders.values() if order.status == CONFIRMED}
    wrong = [
        f"order {order_id or '(none)'}: {at_stripe[order_id]} at Stripe, {owed.get(order_id, 0)} owed"
        for order_id in sorted(at_stripe.keys() | owed.keys())
        if at_stripe[order_id] != owed.get(order_id, 0)
    ]
    detail = (
        f"in minor units: {sum(at_stripe.values())} at Stripe, "
        f"{sum(owed.values())} owed by {len(owed)} orders"
    )
    return Check("0 ghost charges", not wrong, "; ".join(wrong) or detail)


def charged_once(payments: Mapping[str, LedgerPayment], orders: Mapping[str, ShopOrder]) -> Check:
    """Count the charges that the issuer accepted: exactly 1 for a confirmed order, else at most 1."""
    charges: Counter[str] = Counter()
    for payment in payments.values():
        charges[payment.order_id] += payment.charges
    wrong = [
        f"order {order.id} ({order.status}): {charges[order.id]} charges"
        for order in orders.values()
        if charges[order.id] > 1 or (order.status == CONFIRMED and charges[order.id] == 0)
    ]
    detail = f"{sum(charges.values())} charges, none of them twice"
    return Check("each card charged once", not wrong, "; ".join(wrong) or detail)


def no_lost_orders(accepted: Sequence[str], orders: Mapping[str, ShopOrder]) -> Check:
    """Find orders that were accepted and have not ended."""
    lost = [order_id for order_id in accepted if order_id not in orders]
    detail = f"{len(accepted)} accepted, {len(orders)} ended"
    return Check("0 lost orders", not lost, ", ".join(lost) or detail)


def stock_conserved(
    before: Mapping[str, ShopProduct],
    after: Mapping[str, ShopProduct],
    orders: Mapping[str, ShopOrder],
) -> Check:
    """Compare the change of each product's stock with what the confirmed orders hold."""
    sold: Counter[str] = Counter()
    for order in orders.values():
        if order.status == CONFIRMED:
            sold.update(order.quantities)
    wrong = [
        f"{sku}: {before[sku].available} before, {sold[sku]} sold, {after[sku].available} after"
        for sku in before
        if before[sku].available - sold[sku] != after[sku].available
    ]
    detail = f"{sold.total()} items sold, everything else is available again"
    return Check("stock conserved", not wrong, "; ".join(wrong) or detail)


def queues_idle(redis_url: str, key_prefix: str, stop_signal: StopSignal) -> Check:
    """Wait for a moment without a waiting message. Beat keeps sending sweeps, so a moment is enough.

    Messages that a killed worker had received do not count. The broker delivers them again minutes
    later; their orders have ended by then, so they change nothing.
    """
    with redis.Redis.from_url(redis_url) as broker:
        for _ in stop_signal.attempts(IDLE_SECONDS, pause=0.05, longest=0.2):
            waiting = {queue: int(broker.llen(f"{key_prefix}{queue}")) for queue in QUEUES}
            if not any(waiting.values()):
                return Check("queues idle", ok=True, detail="no message waits")
    return Check("queues idle", ok=False, detail=str(waiting))


def events_relayed(events: Mapping[str, Sequence[str]], orders: Mapping[str, ShopOrder]) -> Check:
    """Compare the events of each order that arrived outside with how the order ended.

    ``events`` has the types of each order's events, in the order in which they arrived.
    """
    wrong = []
    for order in orders.values():
        arrived = events.get(order.id, ())
        last = f"order.{order.status}"
        if not arrived or arrived[0] != "order.placed" or arrived.count(last) != 1:
            wrong.append(f"order {order.id} ({order.status}): {', '.join(arrived) or 'no event'}")
    detail = f"{sum(map(len, events.values()))} events of {len(events)} orders arrived in order"
    return Check("events_relayed", not wrong, "; ".join(wrong) or detail)
