"""The two ledgers that the customers' log is compared with: our database, and the bank's file."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import psycopg

from sandbox.drive.provider_ledger import LedgerPayment

_ORDERS: Final = "SELECT id::text, status, reason, total_minor FROM orders_order"
_LINES: Final = "SELECT order_id::text, sku, quantity FROM orders_orderline"
_KEYS: Final = "SELECT key, order_id::text FROM orders_idempotencyrecord"
_SHELVES: Final = """
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


class Order(NamedTuple):
    """One order, as our database has it."""

    status: str
    reason: str
    total_minor: int
    items: frozenset[tuple[str, int]]


class Shelf(NamedTuple):
    """What one product's levels say."""

    on_hand: int
    reserved: int


class Database(NamedTuple):
    """Our own ledger."""

    orders: Mapping[str, Order]
    keys: Mapping[str, str]  # a request's key to the order that it was about
    shelves: Mapping[str, Shelf]


class Ledgers(NamedTuple):
    """What was true, according to those who had to write it down."""

    database: Database
    bank: Mapping[str, LedgerPayment]


def read_database(connection: psycopg.Connection[Any]) -> Database:
    items = defaultdict(set)
    for order_id, sku, quantity in connection.execute(_LINES):
        items[order_id].add((sku, quantity))
    return Database(
        orders={
            order_id: Order(status, reason, total_minor, frozenset(items[order_id]))
            for order_id, status, reason, total_minor in connection.execute(_ORDERS)
        },
        keys=dict(connection.execute(_KEYS)),
        shelves={sku: Shelf(*levels) for sku, *levels in connection.execute(_SHELVES)},
    )


def put_on_shelves(connection: psycopg.Connection[Any], stock: Mapping[str, int]) -> None:
    """Sell these products, and receive so much of each."""
    wanted = {"skus": list(stock), "quantities": list(stock.values())}
    connection.execute(_STOCK, wanted)


class Unfinished(NamedTuple):
    """A run that is under way, or an order without an end."""

    seconds: float  # that it has had so far with nothing in its way
    what: str


def unfinished(
    connection: psycopg.Connection[Any], *, healed_seconds_ago: float
) -> list[Unfinished]:
    """Return what has not ended, the oldest first."""
    rows = connection.execute(_UNFINISHED, {"healed": healed_seconds_ago})
    return [Unfinished(*row) for row in rows]


def longest_run(connection: psycopg.Connection[Any]) -> float:
    """Return how many seconds it took the slowest run to end."""
    row = connection.execute(_LONGEST).fetchone()
    return round(row[0] or 0.0, 1) if row else 0.0
