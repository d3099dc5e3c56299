"""Three ledgers against one another: the customers' log, our database, the bank's file.

Nothing here asks the application what it thinks; each ledger was written by somebody else.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from proof.chaos.history import Conversation
from proof.chaos.ledgers import Database, Ledgers, Order
from proof.chaos.plan import Errand, Manner
from sandbox.drive.provider_ledger import LedgerPayment

CONFIRMED: Final = "confirmed"
CANCELLED: Final = "cancelled"
LEAST_CONFIRMED: Final = 0.60
"""Of the orders that nothing but chaos kept from being confirmed. With less, nothing was proved."""


class Finding(NamedTuple):
    """One disagreement."""

    kind: str
    subject: str
    detail: str


class Confirmable(NamedTuple):
    """How many orders could be confirmed, and how many were."""

    orders: int
    confirmed: int

    @property
    def is_enough(self) -> bool:
        return self.orders > 0 and self.confirmed >= LEAST_CONFIRMED * self.orders


class Evidence(NamedTuple):
    """All that the checker looks at."""

    errands: Sequence[Errand]
    told: Mapping[int, Conversation]
    ledgers: Ledgers
    stock: Mapping[str, int]  # of each product at the start


def findings(evidence: Evidence) -> list[Finding]:
    """Return every disagreement between any two of the three."""
    database, bank = evidence.ledgers
    found: list[Finding] = []
    for errand in evidence.errands:
        told = evidence.told[errand.number]
        found += _customer_with_database(errand, told, database)
        found += _customer_with_itself(errand, told)
    found += _orders_of_nobody(evidence.errands, database)
    found += _database_with_bank(database, bank)
    found += _customers_with_bank(evidence)
    found += _shelves(evidence.stock, database)
    return found


def confirmable(evidence: Evidence) -> Confirmable:
    """Count the orders that their customer wanted, whose card was good, and that were in stock."""
    wanted = [
        order
        for errand in evidence.errands
        if errand.is_payable and not evidence.told[errand.number].asked_to_cancel
        if (order := _order_of(errand, evidence.ledgers.database)) is not None
        if not (order.reason == "out_of_stock" and errand.wants_scarce)
    ]
    return Confirmable(len(wanted), sum(order.status == CONFIRMED for order in wanted))


def _order_of(errand: Errand, database: Database) -> Order | None:
    return database.orders.get(database.keys.get(errand.key, ""))


def _customer_with_itself(errand: Errand, told: Conversation) -> Iterator[Finding]:
    """What was said to one customer must fit together."""
    if len(told.placed) > 1:
        yield Finding("one key, several orders", errand.key, ", ".join(told.placed))
    if told.placed and told.was_refused:
        yield Finding("accepted and refused", errand.key, ", ".join(told.placed))
    if errand.is_valid and told.was_refused:
        yield Finding("refused without a reason", errand.key, "")
    if not told.is_resolved and errand.manner != Manner.ABANDON:
        yield Finding("no answer", errand.key, f"asked {told.unknowns} times")
    for what in told.unexpected:
        yield Finding("own order refused", errand.key, what)


def _customer_with_database(
    errand: Errand, told: Conversation, database: Database
) -> Iterator[Finding]:
    kept = database.keys.get(errand.key)
    for order_id in told.placed:
        if order_id not in database.orders:
            yield Finding("lost order", order_id, f"{errand.key} was told that it is accepted")
        elif kept != order_id:
            yield Finding("key of another order", order_id, f"{errand.key} stands for {kept}")
    if told.was_refused and kept is not None and not told.placed:
        yield Finding("refused, and ordered", errand.key, kept)
    order = _order_of(errand, database)
    if order is None:
        return
    if order.items != frozenset(errand.cart.items):
        yield Finding("another cart", str(kept), f"{sorted(order.items)} for {errand.cart.items}")
    for each in told.placed.values():
        if each.total_minor != order.total_minor:
            yield Finding("another total", each.id, f"{each.total_minor}, now {order.total_minor}")
    yield from _end(errand, told, str(kept), order)


def _end(errand: Errand, told: Conversation, order_id: str, order: Order) -> Iterator[Finding]:
    """How an order ended must be what its customer was told, and something that can happen."""
    if order.status not in (CONFIRMED, CANCELLED):
        yield Finding("no end", order_id, order.status)
        return
    if told.cancel_was_acked and order.status != CANCELLED:
        yield Finding("cancelled in vain", order_id, order.status)
    for end in told.ends:
        may_change = end.status == CONFIRMED and told.asked_to_cancel
        if end.status != order.status and not may_change:
            yield Finding("end that changed", order_id, f"told {end.status}, is {order.status}")
    if order.status == CONFIRMED and not errand.is_payable:
        yield Finding("confirmed without money", order_id, errand.cart.payment_method)
    if order.status == CANCELLED and order.reason not in _reasons(errand, told):
        yield Finding("cancelled without a reason", order_id, order.reason or "(none)")


def _reasons(errand: Errand, told: Conversation) -> set[str]:
    """Why this order may have been cancelled, as far as its customer can know."""
    reasons = {"authorize_payment_unanswered"}
    if not errand.is_payable:
        reasons.add("payment_declined")
    if errand.wants_scarce:
        reasons.add("out_of_stock")
    if told.asked_to_cancel:
        reasons.add("cancelled_by_customer")
    return reasons


def _orders_of_nobody(errands: Sequence[Errand], database: Database) -> Iterator[Finding]:
    by_order = defaultdict(list)
    for errand in errands:
        if order_id := database.keys.get(errand.key):
            by_order[order_id].append(errand.key)
    for order_id in database.orders:
        if len(keys := by_order[order_id]) != 1:
            yield Finding("order of nobody", order_id, f"keys: {keys}")


def _database_with_bank(database: Database, bank: Mapping[str, LedgerPayment]) -> Iterator[Finding]:
    held, taken, charges = Counter[str](), Counter[str](), Counter[str]()
    for intent in bank.values():
        held[intent.order_id] += intent.held_minor
        taken[intent.order_id] += intent.captured_minor
        charges[intent.order_id] += intent.charges
    for order_id in held.keys() - database.orders.keys():
        if held[order_id] or taken[order_id]:
            yield Finding("money without an order", order_id or "(none)", str(taken[order_id]))
    for order_id, order in database.orders.items():
        owed = order.total_minor if order.status == CONFIRMED else 0
        if (taken[order_id], held[order_id]) != (owed, 0):
            kind = "ghost charge" if not owed else "wrong sum"
            detail = f"{order.status}: {taken[order_id]} taken, {held[order_id]} held, {owed} owed"
            yield Finding(kind, order_id, detail)
        if charges[order_id] > 1:
            yield Finding("charged twice", order_id, f"{charges[order_id]} charges")


def _customers_with_bank(evidence: Evidence) -> Iterator[Finding]:
    """Compare what was said to be the end with the money, whatever our database thinks."""
    net = Counter[str]()
    for intent in evidence.ledgers.bank.values():
        net[intent.order_id] += intent.held_minor + intent.captured_minor
    for errand in evidence.errands:
        told = evidence.told[errand.number]
        if not told.ends:
            continue
        last = told.ends[-1]
        if last.status == CANCELLED and net[last.id]:
            yield Finding("told cancelled, and charged", last.id, str(net[last.id]))
        is_final = last.status == CONFIRMED and not told.asked_to_cancel
        if is_final and net[last.id] != last.total_minor:
            yield Finding(
                "told confirmed, and charged otherwise",
                last.id,
                f"{net[last.id]} of {last.total_minor}",
            )


def _shelves(stock: Mapping[str, int], database: Database) -> Iterator[Finding]:
    sold = Counter[str]()
    for order in database.orders.values():
        if order.status == CONFIRMED:
            sold.update(dict(order.items))
    for sku, received in stock.items():
        shelf = database.shelves[sku]
        if (shelf.on_hand, shelf.reserved) != (received, sold[sku]):
            detail = f"{shelf}; {received} received, {sold[sku]} sold"
            yield Finding("stock not conserved", sku, detail)
        if sold[sku] > received:
            yield Finding("oversold", sku, f"{sold[sku]} of {received}")
