"""Invariants about stock. They compare levels, movements, reservations and order lines."""

from typing import Final

from invariants.invariant import Invariant, Kind

STOCK: Final = (
    Invariant(
        "S1",
        Kind.STOCK,
        "No more is reserved than is on hand, and neither is negative.",
        """
        SELECT s.sku || '@' || w.code, concat(l.reserved, ' reserved of ', l.on_hand)
        FROM inventory_stocklevel l
        JOIN inventory_product s ON s.id = l.product_id
        JOIN inventory_warehouse w ON w.id = l.warehouse_id
        WHERE l.on_hand < 0 OR l.reserved < 0 OR l.reserved > l.on_hand
        """,
        is_enforced=True,
    ),
    Invariant(
        "S2",
        Kind.STOCK,
        "A level's reserved quantity equals the sums of its movements and of its reservations.",
        """
        SELECT s.sku || '@' || w.code, concat('level ', l.reserved, ', movements ',
            coalesce(m.moved, 0), ', reservations ', coalesce(r.held, 0))
        FROM inventory_stocklevel l
        JOIN inventory_product s ON s.id = l.product_id
        JOIN inventory_warehouse w ON w.id = l.warehouse_id
        LEFT JOIN (
            SELECT stock_level_id, coalesce(sum(quantity) FILTER (WHERE kind = 'reserve'), 0)
                - coalesce(sum(quantity) FILTER (WHERE kind = 'release'), 0) AS moved
            FROM inventory_stockmovement GROUP BY stock_level_id) m ON m.stock_level_id = l.id
        LEFT JOIN (
            SELECT stock_level_id, sum(quantity) AS held FROM inventory_reservation
            WHERE status <> 'released' GROUP BY stock_level_id) r ON r.stock_level_id = l.id
        WHERE l.reserved <> coalesce(m.moved, 0) OR l.reserved <> coalesce(r.held, 0)
        """,
        sums_history=True,
    ),
    Invariant(
        "S3",
        Kind.STOCK,
        "The quantity on hand equals the goods received plus the adjustments of staff.",
        """
        SELECT s.sku || '@' || w.code, concat(l.on_hand, ' on hand of ', coalesce(m.received, 0))
        FROM inventory_stocklevel l
        JOIN inventory_product s ON s.id = l.product_id
        JOIN inventory_warehouse w ON w.id = l.warehouse_id
        LEFT JOIN (
            SELECT stock_level_id, sum(quantity) AS received FROM inventory_stockmovement
            WHERE kind IN ('receipt', 'adjust') GROUP BY stock_level_id) m ON m.stock_level_id = l.id
        WHERE l.on_hand <> coalesce(m.received, 0)
        """,
        sums_history=True,
    ),
    Invariant(
        "S4",
        Kind.STOCK,
        "An order line reserves its stock once, and releases all of it at most once.",
        """
        SELECT coalesce(max(l.order_id::text), 'line ' || m.line_id), concat(
            count(*) FILTER (WHERE m.kind = 'reserve'), ' reserved, ',
            count(*) FILTER (WHERE m.kind = 'release'), ' released, ', max(l.sku))
        FROM inventory_stockmovement m LEFT JOIN orders_orderline l ON l.id = m.line_id
        WHERE m.line_id IS NOT NULL AND (%(every_order)s OR l.order_id = ANY(%(orders)s))
        GROUP BY m.line_id
        HAVING count(*) FILTER (WHERE m.kind = 'reserve') <> 1
            OR count(*) FILTER (WHERE m.kind = 'release') > 1
            OR max(m.quantity) <> min(m.quantity)
        """,
        is_enforced=True,
    ),
    Invariant(
        "S5",
        Kind.STOCK,
        "A confirmed order has its stock: every line, in full, of the right product.",
        """
        SELECT o.id::text, concat(l.quantity, ' of ', l.sku, ' needed, ', coalesce(r.status, 'no'),
                                  ' reservation of ', r.quantity, ' ', s.sku)
        FROM orders_order o
        JOIN orders_orderline l ON l.order_id = o.id
        LEFT JOIN inventory_reservation r ON r.line_id = l.id
        LEFT JOIN inventory_stocklevel v ON v.id = r.stock_level_id
        LEFT JOIN inventory_product s ON s.id = v.product_id
        WHERE o.status = 'confirmed' AND (%(every_order)s OR o.id = ANY(%(orders)s))
          AND (r.order_id, r.status, r.quantity, s.sku)
              IS DISTINCT FROM (o.id, 'confirmed', l.quantity, l.sku)
        """,
    ),
    Invariant(
        "S6",
        Kind.STOCK,
        "A cancelled order has no reserved stock.",
        """
        SELECT o.id::text, concat(r.status, ' reservation of ', r.quantity)
        FROM inventory_reservation r JOIN orders_order o ON o.id = r.order_id
        WHERE o.status = 'cancelled' AND r.status <> 'released'
          AND (%(every_order)s OR r.order_id = ANY(%(orders)s))
        """,
    ),
    Invariant(
        "S7",
        Kind.STOCK,
        "All reserved stock belongs to a confirmed order, or to an order with a live run.",
        """
        SELECT r.order_id::text, concat(r.quantity, ' ', r.status, ', order ',
                                        coalesce(o.status, 'unknown'))
        FROM inventory_reservation r LEFT JOIN orders_order o ON o.id = r.order_id
        WHERE r.status <> 'released' AND (%(every_order)s OR r.order_id = ANY(%(orders)s))
          AND (o.id IS NULL OR o.status IN ('placed', 'cancelling') AND NOT EXISTS (
            SELECT FROM sagas_sagarun a
            WHERE a.subject_id = o.id AND a.status IN ('running', 'compensating')))
        """,
    ),
    Invariant(
        "S8",
        Kind.STOCK,
        "Over all of history, no more of a product is sold than was received.",
        """
        SELECT sold.sku, concat(sold.quantity, ' sold of ', coalesce(had.quantity, 0))
        FROM (
            SELECT l.sku, sum(l.quantity) AS quantity
            FROM orders_orderline l JOIN orders_order o ON o.id = l.order_id
            WHERE o.status = 'confirmed' GROUP BY l.sku) sold
        LEFT JOIN (
            SELECT s.sku, sum(m.quantity) AS quantity
            FROM inventory_stockmovement m
            JOIN inventory_stocklevel v ON v.id = m.stock_level_id
            JOIN inventory_product s ON s.id = v.product_id
            WHERE m.kind IN ('receipt', 'adjust') GROUP BY s.sku) had ON had.sku = sold.sku
        WHERE sold.quantity > coalesce(had.quantity, 0)
        """,
        sums_history=True,
    ),
)
