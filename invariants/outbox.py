"""Invariants about what is told to the world."""

from typing import Final

from invariants.invariant import Invariant, Kind

OUTBOX: Final = (
    Invariant(
        "O1",
        Kind.OUTBOX,
        "Everything that happened to an order was recorded to be told, once, and nothing else.",
        """
        SELECT coalesce(happened.order_id, told.order_id)::text, concat(
            coalesce(happened.name, told.name), ': happened ', coalesce(happened.times, 0),
            ', recorded ', coalesce(told.times, 0))
        FROM (
            SELECT each.order_id, each.name, count(*) AS times FROM (
                SELECT o.id AS order_id, 'order.placed' AS name FROM orders_order o
                WHERE %(every_order)s OR o.id = ANY(%(orders)s)
                UNION ALL
                SELECT t.order_id, 'order.' || t.target FROM orders_ordertransition t
                WHERE t.target IN ('confirmed', 'cancelled')
                  AND (%(every_order)s OR t.order_id = ANY(%(orders)s))
                UNION ALL
                SELECT p.order_id, 'payment.' || was.name FROM payments_payment p
                CROSS JOIN LATERAL (VALUES
                    ('authorized', p.authorized_at IS NOT NULL),
                    ('captured', p.captured_at IS NOT NULL),
                    ('voided', p.status = 'voided'),
                    ('refunded', p.status = 'refunded')) was(name, is_so)
                WHERE was.is_so AND (%(every_order)s OR p.order_id = ANY(%(orders)s))
                UNION ALL
                SELECT DISTINCT r.order_id, 'stock.' || was.name FROM inventory_reservation r
                CROSS JOIN LATERAL (VALUES
                    ('reserved', true), ('released', r.status = 'released')) was(name, is_so)
                WHERE was.is_so AND (%(every_order)s OR r.order_id = ANY(%(orders)s))) each
            GROUP BY each.order_id, each.name) happened
        FULL JOIN (
            SELECT e.key AS order_id, e.name, count(*) AS times FROM events_outboxevent e
            WHERE e.name IN ('order.placed', 'order.confirmed', 'order.cancelled',
                    'payment.authorized', 'payment.captured', 'payment.voided', 'payment.refunded',
                    'stock.reserved', 'stock.released')
              AND (%(every_order)s OR e.key = ANY(%(orders)s))
            GROUP BY e.key, e.name) told
          ON (told.order_id, told.name) = (happened.order_id, happened.name)
        WHERE happened.times IS DISTINCT FROM told.times
        """,
    ),
)
