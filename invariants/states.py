"""Invariants about the states of orders and runs: they agree, and none waits without an end."""

from datetime import timedelta
from typing import Final

from invariants.invariant import Invariant, Kind
from orders.states import TRANSITIONS

MOVES: Final = {
    "sources": [source.value for source, targets in TRANSITIONS.items() for _ in targets],
    "targets": [target.value for targets in TRANSITIONS.values() for target in targets],
    "ends": [source.value for source, targets in TRANSITIONS.items() if not targets],
}

STATES: Final = (
    Invariant(
        "T1",
        Kind.STATE,
        "An order has the status that its last transition led to.",
        """
        SELECT o.id::text, concat(o.status, ', last transition to ', coalesce(t.target, 'none'))
        FROM orders_order o LEFT JOIN (
            SELECT DISTINCT ON (t.order_id) t.order_id, t.target FROM orders_ordertransition t
            WHERE %(every_order)s OR t.order_id = ANY(%(orders)s)
            ORDER BY t.order_id, t.sequence DESC) t ON t.order_id = o.id
        WHERE (%(every_order)s OR o.id = ANY(%(orders)s))
          AND o.status <> coalesce(t.target, 'placed')
        """,
    ),
    Invariant(
        "T2",
        Kind.STATE,
        "An order's transitions are numbered without a gap, and each starts where the one before ended.",
        """
        SELECT t.order_id::text, concat('transition ', t.sequence, ' from ', t.source, ' after ', t.led_to)
        FROM (
            SELECT t.order_id, t.sequence, t.source,
                row_number() OVER transitions AS number,
                lag(t.target, 1, 'placed') OVER transitions AS led_to
            FROM orders_ordertransition t
            WHERE %(every_order)s OR t.order_id = ANY(%(orders)s)
            WINDOW transitions AS (PARTITION BY t.order_id ORDER BY t.sequence)) t
        WHERE (t.sequence, t.source) <> (t.number, t.led_to)
        """,
    ),
    Invariant(
        "T3",
        Kind.STATE,
        "Every transition is in the table of allowed transitions.",
        """
        SELECT t.order_id::text, concat(t.source, ' to ', t.target)
        FROM orders_ordertransition t
        WHERE (%(every_order)s OR t.order_id = ANY(%(orders)s)) AND t.source <> ALL(%(ends)s)
          AND (t.source, t.target) NOT IN (
            SELECT * FROM unnest(%(sources)s::text[], %(targets)s::text[]))
        """,
        parameters=MOVES,
    ),
    Invariant(
        "T4",
        Kind.STATE,
        "An order's version counts its transitions.",
        """
        SELECT o.id::text, concat('version ', o.version, ', transitions ', coalesce(t.transitions, 0))
        FROM orders_order o LEFT JOIN (
            SELECT t.order_id, count(*) AS transitions FROM orders_ordertransition t
            WHERE %(every_order)s OR t.order_id = ANY(%(orders)s)
            GROUP BY t.order_id) t ON t.order_id = o.id
        WHERE (%(every_order)s OR o.id = ANY(%(orders)s)) AND o.version <> coalesce(t.transitions, 0)
        """,
    ),
    Invariant(
        "T5",
        Kind.STATE,
        "No order leaves a final status.",
        """
        SELECT t.order_id::text, concat(t.source, ' to ', t.target)
        FROM orders_ordertransition t
        WHERE (%(every_order)s OR t.order_id = ANY(%(orders)s)) AND t.source = ANY(%(ends)s)
        """,
        parameters=MOVES,
    ),
    Invariant(
        "T6",
        Kind.STATE,
        "Every order ends or calls staff: half an hour after its last transition or its wait, no work is under way"
        " for it, or its run needs attention.",
        """
        SELECT o.id::text, concat(o.status, ' since ', since.at::timestamp(0),
                                  ', run ', coalesce(r.status || ' at ' || r.step, 'missing'))
        FROM orders_order o
        LEFT JOIN sagas_sagarun r
          ON r.subject_id = o.id AND r.status IN ('running', 'compensating')
        CROSS JOIN LATERAL (
            SELECT coalesce(max(t.at), o.created_at) AS at
            FROM orders_ordertransition t WHERE t.order_id = o.id) since
        WHERE (o.status IN ('placed', 'cancelling') OR r.id IS NOT NULL)
          AND (%(every_order)s OR o.id = ANY(%(orders)s)) AND since.at < %(overdue_since)s
          AND (%(is_at_rest)s OR coalesce(r.waiting_until, since.at) < %(overdue_since)s
                                 AND r.needs_attention IS NOT TRUE)
        """,
        time_limit=timedelta(minutes=30),
    ),
    Invariant(
        "T7",
        Kind.STATE,
        "No order waits without an end: one that has not ended has a run that will wake.",
        """
        SELECT o.id::text, concat(o.status, ', run ', coalesce(r.status, 'missing'), ', wakes ',
                                  coalesce(r.wake_at::timestamp(0)::text, 'never'))
        FROM orders_order o
        LEFT JOIN sagas_sagarun r
          ON r.subject_id = o.id AND r.status IN ('running', 'compensating')
        WHERE o.status IN ('placed', 'cancelling') AND (%(every_order)s OR o.id = ANY(%(orders)s))
          AND (r.wake_at IS NULL
               OR r.wake_at > greatest(clock_now() + interval '1 hour', r.waiting_until))
        """,
        is_enforced=True,
    ),
    Invariant(
        "T8",
        Kind.STATE,
        "A requested cancellation begins within two minutes.",
        """
        SELECT r.subject_id::text, concat('asked at ', r.compensation_requested_at::timestamp(0),
                                          ', run ', r.status, ' ', r.step)
        FROM sagas_sagarun r
        WHERE r.compensation_requested_at IS NOT NULL
          AND (%(every_order)s OR r.subject_id = ANY(%(orders)s))
          AND (r.status = 'completed'
               OR r.status = 'running' AND r.compensation_requested_at < %(overdue_since)s)
        """,
        time_limit=timedelta(minutes=2),
    ),
    Invariant(
        "T9",
        Kind.STATE,
        "A run whose worker was lost is taken over within a minute of the end of its lease.",
        """
        SELECT r.subject_id::text, concat('leased until ', r.leased_until::timestamp(0), ', ', r.step)
        FROM sagas_sagarun r
        WHERE r.status IN ('running', 'compensating') AND r.leased_until < %(overdue_since)s
          AND (%(every_order)s OR r.subject_id = ANY(%(orders)s))
        """,
        time_limit=timedelta(minutes=1),
    ),
    Invariant(
        "T10",
        Kind.STATE,
        "No lost order: every accepted order exists, and had a checkout.",
        """
        SELECT i.order_id::text, 'accepted, and there is no such order'
        FROM orders_idempotencyrecord i LEFT JOIN orders_order o ON o.id = i.order_id
        WHERE o.id IS NULL AND (%(every_order)s OR i.order_id = ANY(%(orders)s))
        UNION ALL
        SELECT o.id::text, o.status || ' without a checkout'
        FROM orders_order o
        WHERE (%(every_order)s OR o.id = ANY(%(orders)s)) AND NOT EXISTS (
            SELECT FROM sagas_sagarun r WHERE r.subject_id = o.id AND r.saga = 'checkout')
        """,
        is_enforced=True,
    ),
    Invariant(
        "T11",
        Kind.STATE,
        "A compensated run has compensated every step that may have had an effect.",
        """
        SELECT r.subject_id::text, s.step || ' was not compensated'
        FROM sagas_sagarun r JOIN sagas_stepattempt s ON s.run_id = r.id
        WHERE r.status = 'compensated' AND (%(every_order)s OR r.subject_id = ANY(%(orders)s))
          AND s.direction = 'forward' AND s.outcome IN ('done', 'pending', 'proceeded', 'started', 'unknown', 'lost')
          AND NOT EXISTS (
            SELECT FROM sagas_stepattempt u WHERE u.run_id = r.id AND u.step = s.step
              AND u.direction = 'compensating' AND u.outcome = 'done')
        """,
    ),
    Invariant(
        "T12",
        Kind.STATE,
        "An order's status agrees with the status of its runs.",
        """
        SELECT o.id::text, concat(o.status, ', checkout ', c.status, ', cancellation ',
                                  coalesce(x.status, 'none'))
        FROM orders_order o
        JOIN sagas_sagarun c ON c.subject_id = o.id AND c.saga = 'checkout'
        LEFT JOIN sagas_sagarun x ON x.subject_id = o.id AND x.saga = 'cancellation'
        WHERE (%(every_order)s OR o.id = ANY(%(orders)s)) AND o.status <> ALL(CASE
            WHEN x.status = 'completed' THEN ARRAY['cancelled']
            WHEN x.status IS NOT NULL THEN ARRAY['cancelling']
            WHEN c.status = 'compensated' THEN ARRAY['cancelled']
            WHEN c.status = 'compensating' THEN ARRAY['cancelling']
            WHEN c.status = 'completed' THEN ARRAY['confirmed']
            ELSE ARRAY['placed', 'confirmed'] END)
        """,
    ),
    Invariant(
        "R4",
        Kind.STATE,
        "The sweep works: no run is overdue by more than a minute.",
        """
        SELECT r.subject_id::text, concat('was to wake at ', r.wake_at::timestamp(0), ', ', r.step)
        FROM sagas_sagarun r
        WHERE r.status IN ('running', 'compensating') AND r.wake_at < %(overdue_since)s
          AND (%(every_order)s OR r.subject_id = ANY(%(orders)s))
        """,
        time_limit=timedelta(minutes=1),
    ),
)
