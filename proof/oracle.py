"""Checks the state after a run, independent of the application's code.

Reads our tables by SQL, and the records of the outside services.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proof.effects import Effects, OrderEffects, differences
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
    ends: Sequence[Mapping[str, int]],
    acknowledged: Mapping[str, str],
    expected_effects: Mapping[str, Effects],
    order_effects: Mapping[str, OrderEffects],
) -> list[Finding]:
    """Compare orders, payments, stock, events, the services' records and the clients' responses.

    Each of ``ends`` maps each final status to the number of orders that have it then; one of them
    must be so. ``acknowledged`` maps each customer to the order id in their response. ``expected_effects`` is how often each outside
    service must have acted, by operation. For a service that is not in it, ``order_effects`` is how
    often the service must have acted for each order.
    """
    orders = [
        OrderRow(str(order_id), status, total)
        for order_id, status, total in world.rows(
            "SELECT id, status, total_minor FROM orders_order"
        )
    ]
    return [
        *wrong_ends(orders, ends),
        *_history(orders, acknowledged),
        *_money(orders, world),
        *_approvals(orders, world),
        *_stock(orders, world),
        *_journal(world),
        *_events(orders, world),
        *_outside_services(world, orders, expected_effects, order_effects),
    ]


def wrong_ends(orders: list[OrderRow], ends: Sequence[Mapping[str, int]]) -> Iterator[Finding]:
    """Yield a finding unless the orders have ended in one of the allowed ways."""
    found = Counter(order.status for order in orders)
    if all(found != Counter(end) for end in ends):
        allowed = " or ".join(str(dict(end)) for end in ends)
        yield Finding("wrong-status", f"{dict(found)} instead of {allowed}")


def _history(orders: list[OrderRow], acknowledged: Mapping[str, str]) -> Iterator[Finding]:
    """Every order in a client's response exists, and no other order does."""
    existing = {order.id for order in orders}
    for order_id in set(acknowledged.values()) - existing:
        yield Finding("lost-order", order_id)
    for order_id in existing - set(acknowledged.values()):
        yield Finding("order-without-customer", order_id)
    if len(set(acknowledged.values())) != len(acknowledged):
        yield Finding("order-given-twice", str(acknowledged))


def _money(orders: list[OrderRow], world: World) -> Iterator[Finding]:
    """Stripe's ledger has at most one charge per payment, and keeps money only of confirmed orders.

    An order has one payment, and one more for each time its customer paid otherwise.
    """
    ledger = world.stripe.ledger()
    intents: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for intent in ledger["payment_intents"]:
        intents[intent["metadata"].get("order_id", "")].append(intent)
    for order_id in intents.keys() - {order.id for order in orders}:
        yield Finding("payment-without-order", order_id)
    for order in orders:
        of_order = intents[order.id]
        ids = {intent["id"] for intent in of_order}
        charges = [
            charge
            for charge in ledger["charges"]
            if charge["payment_intent"] in ids and charge["status"] == "succeeded"
        ]
        refunded = sum(
            refund["amount"]
            for refund in ledger["refunds"]
            if refund["payment_intent"] in ids and refund["status"] == "succeeded"
        )
        kept = sum(intent["amount_received"] for intent in of_order) - refunded
        held = sum(intent["amount_capturable"] for intent in of_order)
        due = order.total_minor if order.status == "confirmed" else 0
        [(payments,)] = world.rows(
            "SELECT count(*) FROM payments_payment WHERE order_id = %s", order.id
        )
        if len(charges) > max(payments, 1):
            detail = f"{order.id}: {len(charges)} charges of {payments} payments"
            yield Finding("charged-twice", detail)
        if kept != due:
            kind = "ghost-charge" if kept > due else "confirmed-without-money"
            yield Finding(kind, f"{order.id} is {order.status}: {kept} kept, {due} due")
        if held:
            yield Finding("money-still-held", f"{order.id} is {order.status}: {held}")
        yield from _payments(order, of_order, world)


PROVIDER_SIDE = {"captured": "succeeded", "voided": "canceled", "refunded": "succeeded"}
"""The status that an intent must have at Stripe, by the final status of our payment."""


def _payments(order: OrderRow, intents: list[dict[str, Any]], world: World) -> Iterator[Finding]:
    """Our payments agree with Stripe's intents, and an intent that we did not store never charged."""
    query = (
        "SELECT provider_payment_id, status, key_version FROM payments_payment WHERE order_id = %s"
    )
    rows = world.rows(query, order.id)
    ours = {payment_id: status for payment_id, status, _ in rows}
    if len(intents) > sum(keys for _, _, keys in rows):  # Stripe keeps a key for a day
        yield Finding("needless-intent", f"{order.id}: {len(intents)} intents")
    for intent in intents:
        if intent["id"] not in ours:
            if intent["latest_charge"] is not None:
                yield Finding("unknown-intent-charged", intent["id"])
        elif intent["status"] != PROVIDER_SIDE.get(ours[intent["id"]]):
            detail = f"{intent['id']} is {intent['status']} at Stripe, {ours[intent['id']]} here"
            yield Finding("payment-disagrees", detail)


def _approvals(orders: list[OrderRow], world: World) -> Iterator[Finding]:
    """No approval stays open, and an order is confirmed only if its approval was given."""
    statuses = {order.id: order.status for order in orders}
    for subject_id, approval in world.rows("SELECT subject_id, status FROM approvals_approval"):
        status = statuses.get(str(subject_id))
        if approval == "open":
            yield Finding("approval-still-open", f"{subject_id} is {status}")
        elif approval != "approved" and status == "confirmed":
            yield Finding("confirmed-without-approval", f"{subject_id}: {approval}")


def _stock(orders: list[OrderRow], world: World) -> Iterator[Finding]:
    """Levels and movements both reserve exactly the items of confirmed orders."""
    confirmed = [order.id for order in orders if order.status == "confirmed"]
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
            detail = (
                f"{sku}: reserved {reserved}, moved {taken}, sold {sold.get(sku, 0)},"
                f" on hand {on_hand} of {received}"
            )
            yield Finding("stock-not-conserved", detail)
        if not 0 <= reserved <= on_hand:
            yield Finding("oversold", f"{sku}: {reserved} of {on_hand}")


def _journal(world: World) -> Iterator[Finding]:
    """Every run has ended, and no run needs attention."""
    for run_id, status in world.rows(
        "SELECT id, status FROM sagas_sagarun WHERE status NOT IN ('completed', 'compensated')"
    ):
        yield Finding("run-not-ended", f"{run_id} is {status}")
    for run_id, reason in world.rows(
        "SELECT id, attention_reason FROM sagas_sagarun WHERE needs_attention"
    ):
        yield Finding("needs-attention", f"{run_id}: {reason}")


def _events(orders: list[OrderRow], world: World) -> Iterator[Finding]:
    """Every event of an order or payment is recorded once, and each order has that of its end."""
    query = "SELECT key, name, payload->>'payment_id' FROM events_outboxevent"
    events = Counter((str(key), name, payment) for key, name, payment in world.rows(query))
    for (key, name, _), count in events.items():
        if count > 1:
            yield Finding("event-recorded-twice", f"{name} of {key}: {count} times")
    recorded = {(key, name) for key, name, _ in events}
    ends = {"confirmed": "payment.captured", "cancelled": "order.cancelled"}
    for order in orders:
        if (order.id, ends.get(order.status, "")) not in recorded:
            yield Finding("end-event-missing", f"{order.id} is {order.status}")


def _outside_services(
    world: World,
    orders: list[OrderRow],
    expected: Mapping[str, Effects],
    per_order: Mapping[str, OrderEffects],
) -> Iterator[Finding]:
    """Each service acted as often as it must, and never twice on the same request."""
    for service in world.outside_services:
        acts = service.acts()
        if service.name in expected or service.name not in per_order:
            problems = differences(_operations(acts), expected.get(service.name, {}))
        else:
            problems = _problems_per_order(acts, orders, per_order[service.name])
        if detail := "; ".join(problems):
            yield Finding("unexpected-service-acts", f"{service.name}: {detail}")
        requests = Counter((act["operation"], json.dumps(act["request"])) for act in acts)
        for (operation, request), count in requests.items():
            if count > 1:
                yield Finding("service-acted-twice", f"{service.name}: {operation} {request}")


def _problems_per_order(
    acts: Sequence[Mapping[str, Any]], orders: list[OrderRow], effects: OrderEffects
) -> Iterator[str]:
    """Yield each order for which the service did not act as it must, and each act without an order."""
    by_order: dict[str, list[Mapping[str, Any]]] = {order.id: [] for order in orders}
    for act in acts:
        ids = by_order.keys() & set(map(str, act["request"].values()))
        if len(ids) != 1:
            yield f"{act['operation']} without an order: {act['request']}"
        for order_id in ids:
            by_order[order_id].append(act)
    for order in orders:
        for problem in effects.problems(order.status, _operations(by_order[order.id])):
            yield f"{order.id} is {order.status}: {problem}"


def _operations(acts: Sequence[Mapping[str, Any]]) -> Counter[str]:
    return Counter(act["operation"] for act in acts)
