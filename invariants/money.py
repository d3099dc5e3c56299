"""Invariants about money. What is asked of the bank is asked of a reading made before our snapshot.

So a comparison is exact without locking anybody: what our books had settled before the bank was read,
and still have so in the snapshot, was so while the bank was read.

Of one intent, what went back is read before what was taken (see ``ProviderReading``). That order alone is
sound for M5. It is sound for the others, too, where the bank goes on meanwhile:

M2, M6, M11
    What they ask about had settled before the reading began, so nothing of ours moves during it.
    Others may move it: what is said of an order that never was, the bank had while it was read, and
    what a person gives back at the bank's own desk meanwhile is missing in the next reading.
M7
    Of an order that is placed or confirmed in the snapshot, nothing of ours was given back before.
"""

from datetime import timedelta
from typing import Final

from invariants.invariant import Invariant, Kind

MONEY: Final = (
    Invariant(
        "M1",
        Kind.MONEY,
        "A confirmed order has its money: set aside, and taken once its checkout has completed.",
        """
        SELECT o.id::text, 'confirmed, and its checkout is ' || coalesce(r.status, 'missing')
        FROM orders_order o
        LEFT JOIN sagas_sagarun r ON r.subject_id = o.id AND r.saga = 'checkout'
        WHERE o.status = 'confirmed' AND (%(every_order)s OR o.id = ANY(%(orders)s))
          AND NOT EXISTS (
            SELECT FROM payments_payment p
            WHERE p.order_id = o.id AND p.closed_at IS NULL
              AND (p.status = 'captured' OR p.status = 'authorized' AND r.status <> 'completed'))
        """,
    ),
    Invariant(
        "M2",
        Kind.MONEY,
        "No ghost charge: the bank has no money of an order that is cancelled or never was.",
        """
        SELECT b.subject, concat(b.net_minor, ' ', b.currency, ' at the bank in ', b.intent_id,
                                 ', order ', coalesce(o.status, 'unknown'))
        FROM bank b LEFT JOIN orders_order o ON o.id = b.order_id
        WHERE b.net_minor > 0
          AND (o.id IS NULL OR o.status = 'cancelled' AND NOT EXISTS (
            SELECT FROM orders_ordertransition t WHERE t.order_id = o.id
              AND t.target = 'cancelled' AND t.at >= %(settled_before)s))
        """,
        needs_provider=True,
    ),
    Invariant(
        "M3",
        Kind.MONEY,
        "An order has one open payment at most, and money in one at most.",
        """
        SELECT p.order_id::text, concat(
            count(*) FILTER (WHERE p.closed_at IS NULL), ' open, ',
            count(*) FILTER (WHERE p.status IN ('authorized', 'captured')), ' with money')
        FROM payments_payment p
        WHERE %(every_order)s OR p.order_id = ANY(%(orders)s)
        GROUP BY p.order_id
        HAVING count(*) FILTER (WHERE p.closed_at IS NULL) > 1
            OR count(*) FILTER (WHERE p.status IN ('authorized', 'captured')) > 1
        """,
        is_enforced=True,
    ),
    Invariant(
        "M4",
        Kind.MONEY,
        "What is charged is the order's total, and that is the sum of its lines, in one currency.",
        """
        SELECT o.id::text, concat('total ', o.total_minor, ', lines ', l.sum_minor)
        FROM orders_order o LEFT JOIN (
            SELECT l.order_id, sum(l.quantity * l.unit_price_minor) AS sum_minor
            FROM orders_orderline l
            WHERE %(every_order)s OR l.order_id = ANY(%(orders)s)
            GROUP BY l.order_id) l ON l.order_id = o.id
        WHERE (%(every_order)s OR o.id = ANY(%(orders)s))
          AND l.sum_minor IS DISTINCT FROM o.total_minor
        UNION ALL
        SELECT o.id::text, concat('total ', o.total_minor, ' ', o.currency, ', payment ',
                                  p.amount_minor, ' ', p.currency)
        FROM payments_payment p JOIN orders_order o ON o.id = p.order_id
        WHERE (%(every_order)s OR p.order_id = ANY(%(orders)s))
          AND (p.amount_minor, p.currency) <> (o.total_minor, o.currency)
        """,
    ),
    Invariant(
        "M5",
        Kind.MONEY,
        "No more is given back than was taken.",
        """
        SELECT p.order_id::text, concat(sum(f.amount_minor), ' back of ', p.amount_minor)
        FROM payments_refund f JOIN payments_payment p ON p.id = f.payment_id
        WHERE f.status NOT IN ('failed', 'canceled')
          AND (%(every_order)s OR p.order_id = ANY(%(orders)s))
        GROUP BY p.id HAVING sum(f.amount_minor) > p.amount_minor
        UNION ALL
        SELECT b.subject, concat(b.returned_minor, ' back of ', b.taken_minor, ' at the bank in ',
                                 b.intent_id)
        FROM bank b WHERE b.returned_minor > b.taken_minor
        """,
    ),
    Invariant(
        "M6",
        Kind.MONEY,
        "What a payment holds or took by our books, the bank holds or took, to the cent.",
        """
        SELECT p.order_id::text, concat(p.status, ' ', p.amount_minor, ' ', p.currency,
            ' with us; at the bank ', coalesce(b.status, 'unknown'), ', ', b.held_minor, ' held, ',
            b.taken_minor, ' taken, ', b.returned_minor, ' returned ', b.currency)
        FROM payments_payment p LEFT JOIN bank b ON b.intent_id = p.intent_id
        WHERE p.status IN ('authorized', 'captured') AND p.closed_at IS NULL
          AND (%(every_order)s OR p.order_id = ANY(%(orders)s))
          AND coalesce(p.authorized_at, p.created_at) < %(settled_before)s
          AND (b.intent_id IS NOT NULL OR p.created_at >= %(complete_since)s)
          AND (b.intent_id IS NULL OR b.currency <> p.currency OR b.net_minor <> p.amount_minor
               OR p.captured_at < %(settled_before)s AND b.held_minor > 0)
        """,
        needs_provider=True,
    ),
    Invariant(
        "M7",
        Kind.MONEY,
        "Every payment is of an order that exists, and all money at the bank is of one payment.",
        """
        SELECT p.order_id::text, concat(p.status, ' payment of an unknown order, ', p.intent_id)
        FROM payments_payment p LEFT JOIN orders_order o ON o.id = p.order_id
        WHERE o.id IS NULL AND (%(every_order)s OR p.order_id = ANY(%(orders)s))
        UNION ALL
        SELECT b.subject, concat(b.net_minor, ' ', b.currency, ' at the bank in ', b.intent_id,
                                 ', which no payment accounts for')
        FROM bank b JOIN orders_order o ON o.id = b.order_id AND o.status IN ('placed', 'confirmed')
        WHERE b.net_minor > 0 AND NOT EXISTS (
            SELECT FROM payments_payment p WHERE p.intent_id = b.intent_id
              AND p.order_id = b.order_id AND p.status NOT IN ('voided', 'refunded'))
        """,
    ),
    Invariant(
        "M8",
        Kind.STATE,
        "Nobody is left in doubt for long about what the bank did for a payment.",
        """
        SELECT p.order_id::text, concat('intended since ', p.created_at::timestamp(0))
        FROM payments_payment p
        WHERE p.status = 'intended' AND p.created_at < %(overdue_since)s
          AND (%(every_order)s OR p.order_id = ANY(%(orders)s))
        """,
        by=timedelta(minutes=15),
    ),
    Invariant(
        "M11",
        Kind.MONEY,
        "The payments of a cancelled order are closed, voided or refunded, and can charge no more.",
        """
        SELECT o.id::text, concat('payment ', p.status,
                                  CASE WHEN p.closed_at IS NULL THEN ' and not closed' END)
        FROM orders_order o JOIN payments_payment p ON p.order_id = o.id
        WHERE o.status = 'cancelled' AND (%(every_order)s OR o.id = ANY(%(orders)s))
          AND (p.status NOT IN ('voided', 'refunded') OR p.closed_at IS NULL)
        UNION ALL
        SELECT o.id::text, concat(b.intent_id, ' is ', b.status, ' at the bank')
        FROM bank b JOIN payments_payment p ON p.intent_id = b.intent_id
        JOIN orders_order o ON o.id = p.order_id
        WHERE o.status = 'cancelled' AND b.net_minor = 0
          AND b.status NOT IN ('canceled', 'succeeded') AND NOT EXISTS (
            SELECT FROM orders_ordertransition t WHERE t.order_id = o.id
              AND t.target = 'cancelled' AND t.at >= %(settled_before)s)
        """,
    ),
    Invariant(
        "M12",
        Kind.MONEY,
        "Every amount is more than nothing, and a refund has its payment's currency.",
        """
        SELECT o.id::text, concat('total ', o.total_minor) FROM orders_order o
        WHERE o.total_minor <= 0 AND (%(every_order)s OR o.id = ANY(%(orders)s))
        UNION ALL
        SELECT l.order_id::text, concat(l.quantity, ' of ', l.sku, ' for ', l.unit_price_minor)
        FROM orders_orderline l
        WHERE (l.quantity <= 0 OR l.unit_price_minor <= 0)
          AND (%(every_order)s OR l.order_id = ANY(%(orders)s))
        UNION ALL
        SELECT p.order_id::text, concat('payment ', p.amount_minor) FROM payments_payment p
        WHERE p.amount_minor <= 0 AND (%(every_order)s OR p.order_id = ANY(%(orders)s))
        UNION ALL
        SELECT p.order_id::text, concat('refund ', f.amount_minor, ' ', f.currency)
        FROM payments_refund f JOIN payments_payment p ON p.id = f.payment_id
        WHERE (f.amount_minor <= 0 OR f.currency <> p.currency)
          AND (%(every_order)s OR p.order_id = ANY(%(orders)s))
        """,
        is_enforced=True,
    ),
    Invariant(
        "M13",
        Kind.MONEY,
        "No refund has failed without the money having gone back another way.",
        """
        SELECT p.order_id::text, concat('refund ', f.provider_refund_id, ' ', f.status)
        FROM payments_refund f JOIN payments_payment p ON p.id = f.payment_id
        WHERE f.status IN ('failed', 'canceled') AND p.status <> 'refunded'
          AND (%(every_order)s OR p.order_id = ANY(%(orders)s))
        """,
    ),
)
