"""Invariants about money.

The provider is read before the snapshot of our own tables is taken. So comparing the two is exact
without a lock. What our database had settled before the reading, and still has in the snapshot, was
true during the reading.

The refunds of a payment are read before its captured amount (see ``ProviderReading``). M5 needs that
order. It is safe for the other invariants too, although money may move during the reading:

M2, M6, M11
    They compare only what had settled before the reading, which we do not move during the reading.
    Others may move it. For M2, an unknown order's money existed when the provider was read. A
    refund that staff make in the provider's dashboard meanwhile is in the next reading.
M7
    For an order that is placed or confirmed in the snapshot, we had refunded nothing before.
"""

from datetime import timedelta
from typing import Final

from invariants.invariant import Invariant, Kind

MONEY: Final = (
    Invariant(
        "M1",
        Kind.MONEY,
        "A confirmed order has its money: held, and captured once its checkout has completed.",
        """
        SELECT o.id::text, 'confirmed, and its checkout is ' || coalesce(r.status, 'missing')
        FROM orders_order o
        LEFT JOIN sagas_sagarun r ON r.subject_id = o.id AND r.saga = 'checkout'
        WHERE o.status = 'confirmed' AND (%(every_order)s OR o.id = ANY(%(orders)s))
          AND NOT EXISTS (
            SELECT FROM payments_payment p
            WHERE p.order_id = o.id AND p.closing_since IS NULL
              AND (p.status = 'captured' OR p.status = 'authorized' AND r.status <> 'completed'))
        """,
    ),
    Invariant(
        "M2",
        Kind.MONEY,
        "No ghost charge: the provider has no money for an order that is cancelled or unknown.",
        """
        SELECT a.subject, concat(a.net_minor, ' ', a.currency, ' at ', a.provider, ' in ',
                                 a.provider_payment_id, ', order ', coalesce(o.status, 'unknown'))
        FROM provider_payment a LEFT JOIN orders_order o ON o.id = a.order_id
        WHERE a.net_minor > 0
          AND (o.id IS NULL OR o.status = 'cancelled' AND NOT EXISTS (
            SELECT FROM orders_ordertransition t WHERE t.order_id = o.id
              AND t.target = 'cancelled' AND t.at >= %(settled_before)s))
        """,
        needs_provider=True,
    ),
    Invariant(
        "M3",
        Kind.MONEY,
        "An order has at most one open payment, and money in at most one payment.",
        """
        SELECT p.order_id::text, concat(
            count(*) FILTER (WHERE p.closing_since IS NULL), ' open, ',
            count(*) FILTER (WHERE p.status IN ('authorized', 'captured')), ' with money')
        FROM payments_payment p
        WHERE %(every_order)s OR p.order_id = ANY(%(orders)s)
        GROUP BY p.order_id
        HAVING count(*) FILTER (WHERE p.closing_since IS NULL) > 1
            OR count(*) FILTER (WHERE p.status IN ('authorized', 'captured')) > 1
        """,
        is_enforced=True,
    ),
    Invariant(
        "M4",
        Kind.MONEY,
        "A payment's amount is the order's total, which is the sum of its lines, in one currency.",
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
        "No more is refunded than was captured.",
        """
        SELECT p.order_id::text, concat(sum(f.amount_minor), ' refunded of ', p.amount_minor)
        FROM payments_refund f JOIN payments_payment p ON p.id = f.payment_id
        WHERE f.status NOT IN ('failed', 'cancelled')
          AND (%(every_order)s OR p.order_id = ANY(%(orders)s))
        GROUP BY p.id HAVING sum(f.amount_minor) > p.amount_minor
        UNION ALL
        SELECT a.subject, concat(a.refunded_minor, ' refunded of ', a.captured_minor, ' at ', a.provider, ' in ',
                                 a.provider_payment_id)
        FROM provider_payment a WHERE a.refunded_minor > a.captured_minor
        """,
    ),
    Invariant(
        "M6",
        Kind.MONEY,
        "What a payment holds or captured in our database, the provider holds or captured, to the cent.",
        """
        SELECT p.order_id::text, concat(p.status, ' ', p.amount_minor, ' ', p.currency,
            ' with us; at ', p.provider, ' ', coalesce(a.status, 'unknown'), ', ', a.held_minor, ' held, ',
            a.captured_minor, ' captured, ', a.refunded_minor, ' refunded ', a.currency)
        FROM payments_payment p LEFT JOIN provider_payment a
          ON a.provider = p.provider AND a.provider_payment_id = p.provider_payment_id
        WHERE p.status IN ('authorized', 'captured') AND p.closing_since IS NULL
          AND (%(every_order)s OR p.order_id = ANY(%(orders)s))
          AND coalesce(p.authorized_at, p.created_at) < %(settled_before)s
          AND (a.provider_payment_id IS NOT NULL OR p.created_at >= %(complete_since)s)
          AND (a.provider_payment_id IS NULL OR a.currency <> p.currency OR a.net_minor <> p.amount_minor
               OR p.captured_at < %(settled_before)s AND a.held_minor > 0)
        """,
        needs_provider=True,
    ),
    Invariant(
        "M7",
        Kind.MONEY,
        "Every payment belongs to an existing order, and all money at the provider to one payment.",
        """
        SELECT p.order_id::text, concat(p.status, ' payment of an unknown order, ', p.provider_payment_id)
        FROM payments_payment p LEFT JOIN orders_order o ON o.id = p.order_id
        WHERE o.id IS NULL AND (%(every_order)s OR p.order_id = ANY(%(orders)s))
        UNION ALL
        SELECT a.subject, concat(a.net_minor, ' ', a.currency, ' at ', a.provider, ' in ',
                                 a.provider_payment_id, ', which no payment accounts for')
        FROM provider_payment a JOIN orders_order o ON o.id = a.order_id AND o.status IN ('placed', 'confirmed')
        WHERE a.net_minor > 0 AND NOT EXISTS (
            SELECT FROM payments_payment p
            WHERE p.provider = a.provider AND p.provider_payment_id = a.provider_payment_id
              AND p.order_id = a.order_id AND p.status NOT IN ('voided', 'refunded'))
        """,
    ),
    Invariant(
        "M8",
        Kind.STATE,
        "A payment's result at the provider does not stay unknown for long, unless its order waits.",
        """
        SELECT p.order_id::text, concat('prepared since ', p.created_at::timestamp(0))
        FROM payments_payment p
        WHERE p.status = 'prepared' AND p.created_at < %(overdue_since)s
          AND (%(every_order)s OR p.order_id = ANY(%(orders)s))
          AND NOT EXISTS (
            SELECT FROM sagas_sagarun r WHERE r.subject_id = p.order_id
              AND r.ended_at IS NULL AND r.waits_for <> '')
        """,
        time_limit=timedelta(minutes=15),
    ),
    Invariant(
        "M11",
        Kind.MONEY,
        "Every payment of a cancelled order is voided or refunded, is closed, and cannot charge any more.",
        """
        SELECT o.id::text, concat('payment ', p.status,
                                  CASE WHEN p.closing_since IS NULL THEN ' and not closed' END)
        FROM orders_order o JOIN payments_payment p ON p.order_id = o.id
        WHERE o.status = 'cancelled' AND (%(every_order)s OR o.id = ANY(%(orders)s))
          AND (p.status NOT IN ('voided', 'refunded') OR p.closing_since IS NULL)
        UNION ALL
        SELECT o.id::text, concat(a.provider_payment_id, ' is ', a.status, ' at ', a.provider)
        FROM provider_payment a JOIN payments_payment p
          ON p.provider = a.provider AND p.provider_payment_id = a.provider_payment_id
        JOIN orders_order o ON o.id = p.order_id
        WHERE o.status = 'cancelled' AND a.net_minor = 0
          AND a.status NOT IN ('cancelled', 'captured') AND NOT EXISTS (
            SELECT FROM orders_ordertransition t WHERE t.order_id = o.id
              AND t.target = 'cancelled' AND t.at >= %(settled_before)s)
        """,
    ),
    Invariant(
        "M12",
        Kind.MONEY,
        "Every amount is above zero, and a refund has its payment's currency.",
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
        "A failed refund is returned another way; until then its order is tried again, for three days at most.",
        """
        SELECT p.order_id::text, concat('refund ', f.provider_refund_id, ' ', f.status,
            coalesce(' since ' || failed.at::timestamp(0), ''),
            CASE WHEN r.id IS NULL THEN ', and no run tries again' END)
        FROM payments_refund f JOIN payments_payment p ON p.id = f.payment_id
        LEFT JOIN sagas_sagarun r
          ON r.subject_id = p.order_id AND r.status IN ('running', 'compensating')
        CROSS JOIN LATERAL (
            SELECT min(s.started_at) AS at
            FROM sagas_sagarun a JOIN sagas_stepattempt s ON s.run_id = a.id
            WHERE a.subject_id = p.order_id AND s.error = 'RefundFailed') failed
        WHERE f.status IN ('failed', 'cancelled') AND p.status <> 'refunded'
          AND (%(every_order)s OR p.order_id = ANY(%(orders)s))
          AND (r.id IS NULL OR %(is_at_rest)s OR failed.at < %(overdue_since)s)
        """,
        time_limit=timedelta(days=3),
    ),
)
