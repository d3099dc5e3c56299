"""Compares three ledgers: the customers' log, our database, and the sandbox's ledger file.

Each was written by a different party. The checker does not use the application's code.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from proof.chaos.ledgers import Database, Ledgers, StoredOrder
from proof.chaos.plan import ShopDecision, SubmitStyle, Visit
from proof.chaos.request_log import CustomerResponses
from sandbox.drive.provider_ledger import LedgerPayment

CONFIRMED: Final = "confirmed"
CANCELLED: Final = "cancelled"
MIN_CONFIRMED_SHARE: Final = 0.60
"""The share of confirmable orders that must be confirmed; with less, a run proves nothing."""


class Finding(NamedTuple):
    """One disagreement between ledgers."""

    kind: str
    subject: str
    detail: str


class Confirmable(NamedTuple):
    """How many orders could be confirmed, and how many were."""

    orders: int
    confirmed: int

    @property
    def is_enough(self) -> bool:
        return self.orders > 0 and self.confirmed >= MIN_CONFIRMED_SHARE * self.orders


class Evidence(NamedTuple):
    """Everything that the checker compares."""

    visits: Sequence[Visit]
    responses: Mapping[int, CustomerResponses]  # by visit number
    ledgers: Ledgers
    initial_stock: Mapping[str, int]  # by SKU


def findings(evidence: Evidence) -> list[Finding]:
    """Return every disagreement between any two of the three ledgers."""
    database, provider = evidence.ledgers
    found: list[Finding] = []
    for visit in evidence.visits:
        responses = evidence.responses[visit.number]
        found += _customer_against_database(visit, responses, database)
        found += _contradictory_responses(visit, responses)
    found += _orders_without_customer(evidence.visits, database)
    found += _database_against_provider(database, provider)
    found += _customers_against_provider(evidence)
    found += _stock(evidence.initial_stock, database)
    return found


def confirmable(evidence: Evidence) -> Confirmable:
    """Count the orders that could be confirmed: paid, accepted, in stock, and not cancelled."""
    wanted = [
        order
        for visit in evidence.visits
        if visit.is_payable and visit.is_accepted
        if not evidence.responses[visit.number].asked_to_cancel
        if (order := _order_of(visit, evidence.ledgers.database)) is not None
        if not (order.reason == "out_of_stock" and visit.wants_scarce)
    ]
    return Confirmable(len(wanted), sum(order.status == CONFIRMED for order in wanted))


def _order_of(visit: Visit, database: Database) -> StoredOrder | None:
    return database.orders.get(database.keys.get(visit.key, ""))


def _contradictory_responses(visit: Visit, responses: CustomerResponses) -> Iterator[Finding]:
    """The responses to one customer must be consistent."""
    if len(responses.placed) > 1:
        yield Finding("one key, several orders", visit.key, ", ".join(responses.placed))
    if responses.placed and responses.was_rejected:
        yield Finding("accepted and rejected", visit.key, ", ".join(responses.placed))
    if visit.is_valid and responses.was_rejected:
        yield Finding("rejected without a reason", visit.key, "")
    if not responses.is_resolved and visit.style != SubmitStyle.ABANDON:
        yield Finding("no response", visit.key, f"{responses.unknowns} requests")
    for rejection in responses.unexpected:
        yield Finding("own order rejected", visit.key, rejection)


def _customer_against_database(
    visit: Visit, responses: CustomerResponses, database: Database
) -> Iterator[Finding]:
    stored_id = database.keys.get(visit.key)
    for order_id in responses.placed:
        if order_id not in database.orders:
            yield Finding("lost order", order_id, f"accepted for {visit.key}")
        elif stored_id != order_id:
            detail = f"{visit.key} has order {stored_id}"
            yield Finding("key belongs to another order", order_id, detail)
    if responses.was_rejected and stored_id is not None and not responses.placed:
        yield Finding("rejected, but ordered", visit.key, stored_id)
    order = _order_of(visit, database)
    if order is None:
        return
    if order.items != frozenset(visit.cart.items):
        detail = f"{sorted(order.items)} for {visit.cart.items}"
        yield Finding("different cart", str(stored_id), detail)
    for response in responses.placed.values():
        if response.total_minor != order.total_minor:
            detail = f"{response.total_minor}, now {order.total_minor}"
            yield Finding("different total", response.id, detail)
    yield from _end(visit, responses, str(stored_id), order)


def _end(
    visit: Visit, responses: CustomerResponses, order_id: str, order: StoredOrder
) -> Iterator[Finding]:
    """The final status must be possible, and be the one in the customer's responses."""
    if order.status not in (CONFIRMED, CANCELLED):
        yield Finding("no final status", order_id, order.status)
        return
    if responses.cancel_was_acked and order.status != CANCELLED:
        yield Finding("accepted cancellation without effect", order_id, order.status)
    for end in responses.ends:
        may_change = end.status == CONFIRMED and responses.asked_to_cancel
        if end.status != order.status and not may_change:
            detail = f"reported {end.status}, is {order.status}"
            yield Finding("final status changed", order_id, detail)
    if order.status == CONFIRMED and not visit.is_payable:
        yield Finding("confirmed without money", order_id, visit.cart.payment_method)
    if order.status == CONFIRMED and not visit.is_accepted:
        yield Finding("confirmed without approval", order_id, visit.decision)
    if order.open_approvals:
        yield Finding("approval still open", order_id, order.status)
    if order.status == CANCELLED and order.reason not in _reasons(visit, responses):
        yield Finding("cancelled without a reason", order_id, order.reason or "(none)")


def _reasons(visit: Visit, responses: CustomerResponses) -> set[str]:
    """Return the reasons for which this order may be cancelled, as its customer knows them."""
    reasons = {"authorize_payment_unanswered"}
    if not visit.is_payable:
        reasons |= {"payment_declined", "authentication_abandoned", "not_paid_in_time"}
    if not visit.is_accepted:
        is_left = visit.decision == ShopDecision.LEAVE
        reasons.add("not_reviewed" if is_left else "review_rejected")
    if visit.wants_scarce:
        reasons.add("out_of_stock")
    if responses.asked_to_cancel:
        reasons.add("cancelled_by_customer")
    return reasons


def _orders_without_customer(visits: Sequence[Visit], database: Database) -> Iterator[Finding]:
    """Every order belongs to exactly one customer's key."""
    by_order = defaultdict(list)
    for visit in visits:
        if order_id := database.keys.get(visit.key):
            by_order[order_id].append(visit.key)
    for order_id in database.orders:
        if len(keys := by_order[order_id]) != 1:
            yield Finding("order without a customer", order_id, f"keys: {keys}")


def _database_against_provider(
    database: Database, provider: Mapping[str, LedgerPayment]
) -> Iterator[Finding]:
    """The sandbox charged each confirmed order its total, once, and holds no other money.

    A payment that the customer replaced may have a charge too, which was never captured.
    """
    held, taken, charges = Counter[str](), Counter[str](), Counter[str]()
    for intent in provider.values():
        held[intent.order_id] += intent.held_minor
        taken[intent.order_id] += intent.captured_minor
        charges[intent.order_id] += intent.charges
    for order_id in held.keys() - database.orders.keys():
        if held[order_id] or taken[order_id]:
            yield Finding("money without an order", order_id or "(none)", str(taken[order_id]))
    for order_id, order in database.orders.items():
        due = order.total_minor if order.status == CONFIRMED else 0
        if (taken[order_id], held[order_id]) != (due, 0):
            kind = "ghost charge" if not due else "wrong amount"
            detail = f"{order.status}: {taken[order_id]} taken, {held[order_id]} held, {due} due"
            yield Finding(kind, order_id, detail)
        if charges[order_id] > max(order.payments, 1):
            detail = f"{charges[order_id]} charges of {order.payments} payments"
            yield Finding("charged twice", order_id, detail)


def _customers_against_provider(evidence: Evidence) -> Iterator[Finding]:
    """Compare the final statuses in responses with the money, without our database."""
    net = Counter[str]()
    for intent in evidence.ledgers.provider.values():
        net[intent.order_id] += intent.held_minor + intent.captured_minor
    for visit in evidence.visits:
        responses = evidence.responses[visit.number]
        if not responses.ends:
            continue
        last = responses.ends[-1]
        if last.status == CANCELLED and net[last.id]:
            yield Finding("reported cancelled, but charged", last.id, str(net[last.id]))
        is_final = last.status == CONFIRMED and not responses.asked_to_cancel
        if is_final and net[last.id] != last.total_minor:
            yield Finding(
                "reported confirmed, but charged another sum",
                last.id,
                f"{net[last.id]} of {last.total_minor}",
            )


def _stock(initial_stock: Mapping[str, int], database: Database) -> Iterator[Finding]:
    """The stock on hand is unchanged, and exactly the items of confirmed orders are reserved."""
    sold = Counter[str]()
    for order in database.orders.values():
        if order.status == CONFIRMED:
            sold.update(dict(order.items))
    for sku, received in initial_stock.items():
        stock = database.stock[sku]
        if (stock.on_hand, stock.reserved) != (received, sold[sku]):
            detail = f"{stock}; {received} received, {sold[sku]} sold"
            yield Finding("stock not conserved", sku, detail)
        if sold[sku] > received:
            yield Finding("oversold", sku, f"{sold[sku]} of {received}")
