"""Whether orders, payments, stock and the bank agree. Compares, and changes nothing."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import Count

from inventory.accounts import HoldingAccount, StockAccount, holding_accounts, stock_accounts
from orders.models import Order
from orders.states import OrderStatus
from payments.accounts import BankAccount, PaymentAccount, our_accounts
from payments.states import PaymentStatus

HOLDS_MONEY = (PaymentStatus.AUTHORIZED, PaymentStatus.CAPTURED)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not agree with another."""

    kind: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class Accounts:
    """What was compared, and what was found."""

    orders: dict[str, int]
    payments: dict[str, int]
    intents: int
    net_minor: int
    findings: list[Finding]


@dataclass(frozen=True, slots=True)
class OrderAccount:
    """One order, as far as its money and stock go."""

    order_id: str
    status: str
    total_minor: int
    currency: str
    lines: int
    moves: int
    version: int


def compare(bank: Iterable[BankAccount]) -> Accounts:
    """Compare our books with each other and with the bank's.

    Ours are read in one snapshot, after the bank's: an order that moves meanwhile may show up as
    a finding that is none, so let the system come to rest first.
    """
    at_bank = list(bank)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        orders = _orders()
        payments = list(our_accounts())
        holdings = holding_accounts()
        shelves = list(stock_accounts())
    findings = [
        *_order_findings(orders, holdings),
        *_bank_findings(orders, at_bank),
        *_payment_findings(orders, payments, at_bank),
        *_stock_findings(shelves),
    ]
    return Accounts(
        orders=_counts(each.status for each in orders.values()),
        payments=_counts(each.status for each in payments),
        intents=len(at_bank),
        net_minor=sum(each.net_minor for each in at_bank),
        findings=findings,
    )


def _orders() -> dict[str, OrderAccount]:
    columns = Order.objects.values_list(
        "pk",
        "status",
        "total_minor",
        "currency",
        Count("lines", distinct=True),
        Count("transitions", distinct=True),
        "version",
    )
    rows = columns.order_by("pk").iterator(chunk_size=2000)
    return {str(pk): OrderAccount(str(pk), *rest) for pk, *rest in rows}


def _order_findings(
    orders: Mapping[str, OrderAccount], holdings: Mapping[str, HoldingAccount]
) -> Iterable[Finding]:
    """Find orders that have not ended, or hold other stock than they ought to."""
    for each in orders.values():
        holding = holdings.get(each.order_id, HoldingAccount(each.order_id, 0, 0))
        if each.status not in (OrderStatus.CONFIRMED, OrderStatus.CANCELLED):
            yield Finding("order-not-ended", each.order_id, f"is {each.status}")
        elif each.status == OrderStatus.CONFIRMED and (holding.held, holding.confirmed) != (
            0,
            each.lines,
        ):
            yield Finding(
                "confirmed-without-stock",
                each.order_id,
                f"{holding.confirmed} of {each.lines} lines",
            )
        elif each.status == OrderStatus.CANCELLED and holding.held + holding.confirmed:
            yield Finding("stock-not-released", each.order_id, f"{holding}")
        if each.moves != each.version:
            yield Finding("moves-not-logged", each.order_id, f"{each.moves} of {each.version}")


def _bank_findings(
    orders: Mapping[str, OrderAccount], bank: Iterable[BankAccount]
) -> Iterable[Finding]:
    """Find orders without their money, to the cent, and money without its order."""
    net: dict[tuple[str, str], int] = defaultdict(int)
    for each in bank:
        net[each.order_id, each.currency] += each.net_minor
    for (order_id, currency), minor in net.items():
        order = orders.get(order_id)
        if minor and (order is None or order.status == OrderStatus.CANCELLED):
            state = order.status if order else "unknown"
            yield Finding("ghost-charge", order_id, f"{minor} {currency} for a {state} order")
    for order in orders.values():
        if order.status == OrderStatus.CONFIRMED:
            minor = net.get((order.order_id, order.currency), 0)
            if minor != order.total_minor:
                yield Finding(
                    "wrong-sum", order.order_id, f"{minor} at the bank of {order.total_minor}"
                )


def _payment_findings(
    orders: Mapping[str, OrderAccount],
    payments: Iterable[PaymentAccount],
    bank: Iterable[BankAccount],
) -> Iterable[Finding]:
    """Find payments that stand otherwise with us than with the bank."""
    intents = {each.intent_id: each for each in bank}
    for payment in payments:
        if payment.order_id not in orders:
            yield Finding("payment-without-order", payment.payment_id, payment.order_id)
        intent = intents.get(payment.intent_id)
        expected = payment.amount_minor if payment.status in HOLDS_MONEY else 0
        actual = intent.net_minor if intent else 0
        if actual != expected:
            yield Finding(
                "payment-disagrees",
                payment.payment_id,
                f"{payment.status}: {expected} with us, {actual} at the bank",
            )
        elif payment.status == PaymentStatus.CAPTURED and intent and intent.held_minor:
            yield Finding("captured-but-held", payment.payment_id, payment.intent_id)


def _stock_findings(shelves: Iterable[StockAccount]) -> Iterable[Finding]:
    """Find stock levels that are not what their movements and reservations say."""
    for each in shelves:
        where = f"{each.sku}@{each.warehouse}"
        if each.on_hand != each.received:
            yield Finding("stock-not-conserved", where, f"{each.on_hand} of {each.received}")
        if not each.reserved == each.moved == each.held:
            yield Finding(
                "reserved-disagrees",
                where,
                f"level {each.reserved}, movements {each.moved}, reservations {each.held}",
            )
        if not 0 <= each.reserved <= each.on_hand:
            yield Finding("oversold", where, f"{each.reserved} of {each.on_hand}")


def _counts(statuses: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for each in statuses:
        counts[each] += 1
    return dict(counts)
