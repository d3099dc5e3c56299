"""What must be true after a run, checked without the application's own code.

Reads the tables by SQL, and the records of the outside services themselves.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from proof.jobs import Finding
from proof.world import World


@dataclass(frozen=True)
class OrderRow:
    id: str
    status: str
    total_minor: int


def examine(
    world: World,
    *,
    ends: Mapping[str, int],
    acknowledged: Mapping[str, str],
    outside_acts: Mapping[str, Mapping[str, int]],
) -> list[Finding]:
    """Compare orders, payments, stock, events, the services' records and the clients' answers.

    ``ends`` is how many orders must have ended in which status; ``acknowledged`` has the order id
    that each customer was given; ``outside_acts`` is how often each service must have acted.
    """
    orders = [
        OrderRow(str(order_id), status, total)
        for order_id, status, total in world.rows(
            "SELECT id, status, total_minor FROM orders_order"
        )
    ]
    return [
        *_ends(orders, ends),
        *_history(orders, acknowledged),
        *_money(orders, world),
        *_stock(orders, world),
        *_journal(world),
        *_events(orders, world),
        *_outside_services(world, outside_acts),
    ]


def _ends(orders: list[OrderRow], ends: Mapping[str, int]) -> Iterator[Finding]:
    found = Counter(each.status for each in orders)
    if found != Counter(ends):
        yield Finding("wrong-end", f"{dict(found)} instead of {dict(ends)}")


def _history(orders: list[OrderRow], acknowledged: Mapping[str, str]) -> Iterator[Finding]:
    """Every order that a client was told of exists, and no other."""
    existing = {each.id for each in orders}
    for order_id in set(acknowledged.values()) - existing:
        yield Finding("lost-order", order_id)
    for order_id in existing - set(acknowledged.values()):
        yield Finding("order-of-nobody", order_id)
    if len(set(acknowledged.values())) != len(acknowledged):
        yield Finding("order-given-twice", str(acknowledged))


def _money(orders: list[OrderRow], world: World) -> Iterator[Finding]:
    """By Stripe's ledger: one charge for an order at most, and its money with us only if confirmed."""
    ledger = world.stripe.ledger()
    intents: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for intent in ledger["payment_intents"]:
        intents[intent["metadata"].get("order_id", "")].append(intent)
    for order_id in intents.keys() - {each.id for each in orders}:
        yield Finding("payment-of-no-order", order_id)
    for order in orders:
        own = intents[order.id]
        ids = {each["id"] for each in own}
        charges = [
            each
            for each in ledger["charges"]
            if each["payment_intent"] in ids and each["status"] == "succeeded"
        ]
        returned = sum(
            each["amount"]
            for each in ledger["refunds"]
            if each["payment_intent"] in ids and each["status"] == "succeeded"
        )
        kept = sum(each["amount_received"] for each in own) - returned
        held = sum(each["amount_capturable"] for each in own)
        due = order.total_minor if order.status == "confirmed" else 0
        if len(charges) > 1:
            yield Finding("charged-twice", f"{order.id}: {len(charges)} charges")
        if kept != due:
            kind = "ghost-charge" if kept > due else "confirmed-without-money"
            yield Finding(kind, f"{order.id} is {order.status}: {kept} kept of {due} due")
        if held:
            yield Finding("money-still-held", f"{order.id} is {order.status}: {held}")
        yield from _payments(order, own, world)


PROVIDER_SIDE = {"captured": "succeeded", "voided": "canceled", "refunded": "succeeded"}
"""The status that an intent must have at Stripe, by the final status of its payment with us."""


def _payments(order: OrderRow, intents: list[dict[str, Any]], world: World) -> Iterator[Finding]:
    """Our payments agree with Stripe's intents; an intent that we have not stored never charged."""
    query = "SELECT provider_payment_id, status, key_generation FROM payments_payment WHERE order_id = %s"
    rows = world.rows(query, order.id)
    ours = {payment_id: status for payment_id, status, _ in rows}
    if len(intents) > sum(keys for _, _, keys in rows):  # each key is good for one, for a day
        yield Finding("needless-intent", f"{order.id}: {len(intents)} intents")
    for intent in intents:
        if intent["id"] not in ours:
            if intent["latest_charge"] is not None:
                yield Finding("unknown-intent-charged", intent["id"])
        elif intent["status"] != PROVIDER_SIDE.get(ours[intent["id"]]):
            told = f"{intent['id']} is {intent['status']}, with us {ours[intent['id']]}"
            yield Finding("payment-disagrees", told)


def _stock(orders: list[OrderRow], world: World) -> Iterator[Finding]:
    """What is reserved is what confirmed orders wait for, by the levels and by the movements."""
    confirmed = [each.id for each in orders if each.status == "confirmed"]
    sold = dict(
        world.rows(
            "SELECT sku, sum(quantity) FROM orders_orderline WHERE order_id = ANY(%s::uuid[]) GROUP BY sku",
            confirmed,
        )
    )
    moved = """
        SELECT p.sku, l.on_hand, l.reserved,
               coalesce(sum(m.quantity) FILTER (WHERE m.kind = 'receipt'), 0),
               coalesce(sum(m.quantity) FILTER (WHERE m.kind = 'reserve'), 0)
               - coalesce(sum(m.quantity) FILTER (WHERE m.kind = 'release'), 0)
        FROM inventory_stocklevel l
        JOIN inventory_product p ON p.id = l.product_id
        LEFT JOIN inventory_stockmovement m ON m.stock_level_id = l.id
        GROUP BY l.id, p.sku
    """
    for sku, on_hand, reserved, received, taken in world.rows(moved):
        if reserved != sold.get(sku, 0) or reserved != taken or on_hand != received:
            told = f"{sku}: reserved {reserved}, moved {taken}, sold {sold.get(sku, 0)}, on hand {on_hand} of {received}"
            yield Finding("stock-not-conserved", told)
        if not 0 <= reserved <= on_hand:
            yield Finding("oversold", f"{sku}: {reserved} of {on_hand}")


def _journal(world: World) -> Iterator[Finding]:
    for run_id, status in world.rows(
        "SELECT id, status FROM sagas_sagarun WHERE status NOT IN ('completed', 'compensated')"
    ):
        yield Finding("run-not-ended", f"{run_id} is {status}")
    for run_id, reason in world.rows(
        "SELECT id, attention_reason FROM sagas_sagarun WHERE needs_attention"
    ):
        yield Finding("needs-attention", f"{run_id}: {reason}")


def _events(orders: list[OrderRow], world: World) -> Iterator[Finding]:
    """Every event about an order is told once, and its end is told."""
    told = Counter(
        (str(key), name) for key, name in world.rows("SELECT key, name FROM events_outboxevent")
    )
    for (key, name), count in told.items():
        if count > 1:
            yield Finding("event-told-twice", f"{name} of {key}: {count} times")
    ends = {"confirmed": "payment.captured", "cancelled": "order.cancelled"}
    for order in orders:
        if (order.id, ends.get(order.status, "")) not in told:
            yield Finding("end-not-told", f"{order.id} is {order.status}")


def _outside_services(world: World, expected: Mapping[str, Mapping[str, int]]) -> Iterator[Finding]:
    """Each service acted as often as the scenario says, and on no question twice."""
    for service in world.outside_services:
        acts = service.acts()
        found = Counter(act["operation"] for act in acts)
        due = Counter(expected.get(service.name, {}))
        if found != due:
            detail = f"{service.name}: {dict(found)} instead of {dict(due)}"
            yield Finding("service-acted-otherwise", detail)
        questions = Counter((act["operation"], json.dumps(act["question"])) for act in acts)
        for (operation, question), count in questions.items():
            if count > 1:
                yield Finding("service-acted-twice", f"{service.name}: {operation} {question}")
