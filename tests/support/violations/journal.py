"""Violations of the invariants of the journal and of the recorded events."""

from typing import Final

from tests.support.violations.statements import (
    ATTEMPT_UNDER_WAY,
    Violation,
    change_attempt,
    change_payment,
    change_run,
    drop_constraint,
    event,
    idempotency_key,
    sql,
)

JOURNAL: Final = (
    Violation(
        "one client key used for two orders",
        sql(
            drop_constraint("orders_idempotencyrecord", "orders_idempotency_key_once_per_customer"),
            idempotency_key("confirmed", "alice", "cart-1"),
            idempotency_key("confirmed", "alice", "cart-1"),
        ),
        "J1",
        "confirmed",
    ),
    Violation(
        "a step done twice",
        sql(
            "DROP INDEX sagas_step_done_once",
            "INSERT INTO sagas_stepattempt (run_id, step, direction, number, fence, outcome, output,"
            " error, detail, started_at, ended_at)"
            " SELECT s.run_id, s.step, s.direction, 2, 99, s.outcome, s.output, '', '',"
            " s.started_at, s.ended_at FROM sagas_stepattempt s JOIN sagas_sagarun r"
            " ON r.id = s.run_id WHERE r.subject_id = %(confirmed)s AND s.step = 'confirm_order'",
        ),
        "J1",
        "confirmed",
    ),
    Violation(
        "an attempt that ended before it started",
        sql(
            change_attempt(
                "confirmed",
                "ended_at = s.started_at - interval '1 second'",
                "s.step = 'capture_payment'",
            )
        ),
        "J2",
        "confirmed",
    ),
    Violation(
        "stored parameters of another payment",
        sql(change_payment("confirmed", "params = jsonb_set(params, '{amount}', '9999')")),
        "J3",
        "confirmed",
    ),
    Violation(
        "more attempts than the policy allows",
        sql(change_run("doubtful", "retry_count = 9")),
        "J4",
        "doubtful",
    ),
    Violation(
        "a missing attempt",
        sql(change_attempt("doubtful", "number = 2", "s.step = 'authorize_payment'")),
        "J5",
        "doubtful",
    ),
    Violation(
        "a key of another customer",
        sql(idempotency_key("confirmed", "mallory", "cart-1")),
        "J6",
        "confirmed",
    ),
    Violation(
        "a lease without a running attempt",
        sql(change_run("doubtful", "leased_until = now() + interval '5 seconds'")),
        "J8",
        "doubtful",
    ),
    Violation("a running attempt without a lease", sql(ATTEMPT_UNDER_WAY), "J8", "doubtful"),
)

OUTBOX: Final = (
    Violation(
        "a confirmed order without its event",
        sql(
            "DELETE FROM events_outboxevent WHERE key = %(confirmed)s AND name = 'order.confirmed'"
        ),
        "O1",
        "confirmed",
    ),
    Violation(
        "an event recorded twice", sql(event("confirmed", "payment.captured")), "O1", "confirmed"
    ),
    Violation(
        "an event of something that did not happen",
        sql(event("waiting", "order.confirmed")),
        "O1",
        "waiting",
    ),
)
