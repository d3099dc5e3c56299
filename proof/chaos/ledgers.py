"""Reads our database and creates the stock of a run.

Together with the sandbox's ledger file, the database is compared with the customers' log.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import psycopg

from sandbox.drive.provider_ledger import LedgerPayment

_ORDERS: Final = """
    SELECT id::text, status, reason, total_minor,
           (SELECT count(*) FROM payments_payment WHERE order_id = orders_order.id),
           (SELECT count(*) FROM approvals_approval
            WHERE subject_id = orders_order.id AND status = 'open')
    FROM orders_order
"""
_LINES: Final = "SELECT order_id::text, sku, quantity FROM orders_orderline"
_KEYS: Final = "SELECT key, order_id::text FROM orders_idempotencyrecord"
_STOCK_TOTALS: Final = """
    SELECT sku, sum(on_hand)::bigint, sum(reserved)::bigint
    FROM inventory_product JOIN inventory_stocklevel ON product_id = inventory_product.id
    GROUP BY sku
"""
_STOCK: Final = """
WITH product AS (
    INSERT INTO inventory_product (sku, name, price_minor, is_withdrawn)
    SELECT sku, sku, 500 + 10 * row_number() OVER (), false FROM unnest(%(skus)s::text[]) AS sku
    RETURNING id, sku
), level AS (
    INSERT INTO inventory_stocklevel (product_id, warehouse_id, on_hand, reserved)
    SELECT product.id, (SELECT min(id) FROM inventory_warehouse), quantity, 0
    FROM product
    JOIN unnest(%(skus)s::text[], %(quantities)s::bigint[]) AS wanted (sku, quantity) USING (sku)
    RETURNING id, on_hand
)
INSERT INTO inventory_stockmovement (stock_level_id, kind, quantity, note)
SELECT id, 'receipt', on_hand, 'chaos' FROM level
"""
_UNFINISHED: Final = """
    SELECT least(%(healed)s, extract(epoch FROM now() - created_at))::float,
           concat_ws(' ', saga, 'of', subject_id, status, step, 'retry_count', retry_count,
                     'redispatch_count', redispatch_count, 'wakes', wake_at, nullif(attention_reason, ''))
    FROM sagas_sagarun WHERE status IN ('running', 'compensating')
    UNION ALL
    SELECT least(%(healed)s, extract(epoch FROM now() - created_at))::float,
           concat_ws(' ', 'order', id, status)
    FROM orders_order WHERE status NOT IN ('confirmed', 'cancelled')
    ORDER BY 1 DESC
"""
_LONGEST: Final = """
    SELECT extract(epoch FROM max(ended_at - created_at))::float FROM sagas_sagarun
"""


class StoredOrder(NamedTuple):
    """One order in our database."""

    status: str
    reason: str
    total_minor: int
    items: frozenset[tuple[str, int]]
    payments: int = 1  # one, and one for each time the customer paid otherwise
    open_approvals: int = 0


class StockTotals(NamedTuple):
    """The sums of one product's stock levels."""

    on_hand: int
    reserved: int


class Database(NamedTuple):
    """What our database has at the end of a run."""

    orders: Mapping[str, StoredOrder]  # by id
    keys: Mapping[str, str]  # the order id of each idempotency key
    stock: Mapping[str, StockTotals]  # by SKU


class Ledgers(NamedTuple):
    """Our database, and the payment intents of the sandbox's ledger file by their ids."""

    database: Database
    provider: Mapping[str, LedgerPayment]


def read_database(connection: psycopg.Connection[Any]) -> Database:
    items = defaultdict(set)
    for order_id, sku, quantity in connection.execute(_LINES):
        items[order_id].add((sku, quantity))
    return Database(
        orders={
            order_id: StoredOrder(
                status, reason, total_minor, frozenset(items[order_id]), payments, open_approvals
            )
            for order_id, status, reason, total_minor, payments, open_approvals in (
                connection.execute(_ORDERS)
            )
        },
        keys=dict(connection.execute(_KEYS)),
        stock={sku: StockTotals(*levels) for sku, *levels in connection.execute(_STOCK_TOTALS)},
    )


def create_products(connection: psycopg.Connection[Any], stock: Mapping[str, int]) -> None:
    """Create a product for each SKU of ``stock``, with this quantity on hand."""
    parameters = {"skus": list(stock), "quantities": list(stock.values())}
    connection.execute(_STOCK, parameters)


class Unfinished(NamedTuple):
    """A saga run or an order that has not ended."""

    seconds: float  # since it began, or since the healing, whichever is shorter
    description: str


def unfinished(
    connection: psycopg.Connection[Any], *, healed_seconds_ago: float
) -> list[Unfinished]:
    """Return the runs and orders that have not ended, the oldest first."""
    rows = connection.execute(_UNFINISHED, {"healed": healed_seconds_ago})
    return [Unfinished(*row) for row in rows]


def longest_run(connection: psycopg.Connection[Any]) -> float:
    """Return how many seconds the slowest saga run took to end; 0 without any."""
    row = connection.execute(_LONGEST).fetchone()
    return round(row[0] or 0.0, 1) if row else 0.0
