"""The invariant about the events in the outbox."""

from typing import Final

from invariants.invariant import Invariant, Kind

OUTBOX: Final = (
    Invariant(
        "O1",
        Kind.OUTBOX,
        "Each change of an order was recorded as an event, once, and nothing else was.",
        """
        SELECT coalesce(happened.order_id, recorded.order_id)::text, concat(
            coalesce(happened.name, recorded.name), ': happened ', coalesce(happened.times, 0),
            ', recorded ', coalesce(recorded.times, 0))
        FROM (
            SELECT happening.order_id, happening.name, count(*) AS times FROM (
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
                WHERE was.is_so AND (%(every_order)s OR r.order_id = ANY(%(orders)s))) happening
            GROUP BY happening.order_id, happening.name) happened
        FULL JOIN (
            SELECT e.key AS order_id, e.name, count(*) AS times FROM events_outboxevent e
            WHERE e.name IN ('order.placed', 'order.confirmed', 'order.cancelled',
                    'payment.authorized', 'payment.captured', 'payment.voided', 'payment.refunded',
                    'stock.reserved', 'stock.released')
              AND (%(every_order)s OR e.key = ANY(%(orders)s))
            GROUP BY e.key, e.name) recorded
          ON (recorded.order_id, recorded.name) = (happened.order_id, happened.name)
        WHERE happened.times IS DISTINCT FROM recorded.times
        """,
    ),
)
