"""Creates the products of the benchmark, with stock that never runs out."""

from collections.abc import Sequence
from typing import Final

import psycopg

ON_HAND: Final = 2_000_000_000
PRICE_MINOR: Final = 250

_STOCK = """
WITH product AS (
    INSERT INTO inventory_product (sku, name, price_minor, is_withdrawn)
    SELECT sku, 'Benchmark ' || sku, %(price)s, false FROM unnest(%(skus)s::text[]) AS sku
    ON CONFLICT (sku) DO NOTHING
    RETURNING id
), level AS (
    INSERT INTO inventory_stocklevel (product_id, warehouse_id, on_hand, reserved)
    SELECT product.id, warehouse.id, %(on_hand)s, 0
    FROM product, (SELECT min(id) AS id FROM inventory_warehouse) AS warehouse
    RETURNING id
)
INSERT INTO inventory_stockmovement (stock_level_id, kind, quantity, note)
SELECT id, 'receipt', %(on_hand)s, 'benchmark' FROM level
"""


def stock_products(connection: psycopg.Connection, skus: Sequence[str]) -> None:
    """Create each product with its stock. Products that exist stay as they are."""
    connection.execute(_STOCK, {"skus": list(skus), "price": PRICE_MINOR, "on_hand": ON_HAND})
    connection.execute("ANALYZE inventory_product, inventory_stocklevel")
