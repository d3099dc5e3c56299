"""Invariants about the journal of attempts and about idempotency keys."""

from typing import Final

from invariants.invariant import Invariant, Kind
from orders.saga import SAGAS
from sagas.work import Remote

LIMITED_STEPS: Final = [
    (saga.name, saga.version, step.name, step.action.retry.max_attempts)
    for saga in SAGAS
    for step in saga.steps
    if isinstance(step.action, Remote) and step.action.retry.max_attempts is not None
]
"""The steps whose retries are limited, each with its limit."""

ATTEMPT_LIMITS: Final = {
    name: list(column)
    for name, column in zip(
        ("saga_names", "versions", "step_names", "max_attempts"),
        zip(*LIMITED_STEPS, strict=True),
        strict=True,
    )
}

JOURNAL: Final = (
    Invariant(
        "J1",
        Kind.JOURNAL,
        "A key is used once: a client's, a provider payment's id, a claim of a run, a step's success.",
        """
        SELECT max(i.order_id::text), concat(count(*), ' records of the key ', i.key)
        FROM orders_idempotencyrecord i
        WHERE %(every_order)s OR i.order_id = ANY(%(orders)s)
        GROUP BY i.customer_id, i.key HAVING count(*) > 1
        UNION ALL
        SELECT max(p.order_id::text),
            concat(count(*), ' payments of ', p.provider_payment_id, ' at ', p.provider)
        FROM payments_payment p
        WHERE p.provider_payment_id IS NOT NULL AND (%(every_order)s OR p.order_id = ANY(%(orders)s))
        GROUP BY p.provider, p.provider_payment_id HAVING count(*) > 1
        UNION ALL
        SELECT r.subject_id::text, concat(s.direction, ' ', s.step, ': ', count(*), ' of fence ',
            s.fence, ', ', count(*) FILTER (WHERE s.outcome = 'done'), ' done')
        FROM sagas_sagarun r JOIN sagas_stepattempt s ON s.run_id = r.id
        WHERE %(every_order)s OR r.subject_id = ANY(%(orders)s)
        GROUP BY GROUPING SETS (
            (r.id, r.subject_id, s.step, s.direction, s.fence),
            (r.id, r.subject_id, s.step, s.direction))
        HAVING GROUPING(s.fence) = 0 AND count(*) > 1
            OR GROUPING(s.fence) = 1 AND count(*) FILTER (WHERE s.outcome = 'done') > 1
        """,
        is_enforced=True,
    ),
    Invariant(
        "J2",
        Kind.JOURNAL,
        "An attempt is journalled before its result, and has an end time exactly when it has a result.",
        """
        SELECT r.subject_id::text, concat(s.direction, ' ', s.step, ' #', s.number, ' ', s.outcome,
            ', ', s.started_at::timestamp(3), ' to ', s.ended_at::timestamp(3))
        FROM sagas_stepattempt s JOIN sagas_sagarun r ON r.id = s.run_id
        WHERE (%(every_order)s OR r.subject_id = ANY(%(orders)s))
          AND ((s.outcome = 'started') <> (s.ended_at IS NULL) OR s.ended_at < s.started_at)
        """,
    ),
    Invariant(
        "J3",
        Kind.JOURNAL,
        "The stored parameters of a payment's create call agree with the payment.",
        """
        SELECT p.order_id::text, concat('payment ', p.id, ' of ', p.amount_minor, ' ', p.currency,
                                        ', with the parameters: ', p.params)
        FROM payments_payment p
        WHERE (%(every_order)s OR p.order_id = ANY(%(orders)s))
          AND (p.params ->> 'amount', p.params ->> 'currency',
               p.params #>> '{metadata,payment_id}', p.params #>> '{metadata,order_id}')
              IS DISTINCT FROM
              (p.amount_minor::text, p.currency::text, p.id::text, p.order_id::text)
        """,
    ),
    Invariant(
        "J4",
        Kind.JOURNAL,
        "A run has no more tries at its current step than the step's definition allows.",
        """
        SELECT r.subject_id::text, concat(r.step, ': ', r.retry_count, ' attempts of ', allowed.max_attempts)
        FROM sagas_sagarun r
        JOIN unnest(%(saga_names)s::text[], %(versions)s::int[], %(step_names)s::text[],
                    %(max_attempts)s::int[]) AS allowed(saga, version, step, max_attempts)
          ON (r.saga, r.version, r.step) = (allowed.saga, allowed.version, allowed.step)
        WHERE r.status = 'running' AND r.retry_count > allowed.max_attempts
          AND (%(every_order)s OR r.subject_id = ANY(%(orders)s))
        """,
        parameters=ATTEMPT_LIMITS,
    ),
    Invariant(
        "J5",
        Kind.JOURNAL,
        "The journal is append-only: the attempts at a step are numbered without a gap.",
        """
        SELECT r.subject_id::text, concat(s.direction, ' ', s.step, ': ', count(*),
                                          ' attempts, the last is #', max(s.number))
        FROM sagas_sagarun r JOIN sagas_stepattempt s ON s.run_id = r.id
        WHERE %(every_order)s OR r.subject_id = ANY(%(orders)s)
        GROUP BY r.id, s.step, s.direction
        HAVING max(s.number) <> count(*) OR min(s.number) <> 1
        """,
    ),
    Invariant(
        "J6",
        Kind.JOURNAL,
        "A client's key leads to an order of that client, unless the client acts for the shop.",
        """
        SELECT i.order_id::text, concat('the key ', i.key, ' is of customer ', i.customer_id,
                                        ', the order of ', o.customer_id)
        FROM orders_idempotencyrecord i JOIN orders_order o ON o.id = i.order_id
        WHERE i.customer_id IS DISTINCT FROM o.customer_id AND NOT EXISTS (
            SELECT FROM access_apitoken t WHERE t.user_id = i.customer_id AND 'shop' = ANY(t.scopes)
        ) AND (%(every_order)s OR o.id = ANY(%(orders)s))
        """,
    ),
    Invariant(
        "J8",
        Kind.JOURNAL,
        "A run is leased exactly while its latest attempt is under way.",
        """
        SELECT r.subject_id::text, concat(
            CASE WHEN r.leased_until IS NULL THEN 'not leased' ELSE 'leased' END,
            ' at fence ', r.fence, ', under way: ', string_agg(s.step || ' at ' || s.fence, ', '))
        FROM sagas_sagarun r
        LEFT JOIN sagas_stepattempt s ON s.run_id = r.id AND s.outcome = 'started'
        WHERE (%(every_order)s OR r.subject_id = ANY(%(orders)s))
          AND (r.leased_until IS NOT NULL OR s.id IS NOT NULL)
        GROUP BY r.id
        HAVING r.leased_until IS NULL OR count(s.id) <> 1 OR max(s.fence) <> r.fence
        """,
    ),
)
