"""Violations of the invariants of orders and runs."""

from typing import Final

from tests.support.violations.statements import (
    ATTEMPT_UNDER_WAY,
    Violation,
    change_attempt,
    change_order,
    change_run,
    drop_constraint,
    event,
    idempotency_key,
    sql,
    transition,
)

STATE: Final = (
    Violation(
        "a status that is not the target of the last transition",
        sql(
            transition("capturing", 2, "confirmed", "cancelling"),
            change_order("capturing", "version = 2"),
        ),
        "T1",
        "capturing",
    ),
    Violation(
        "a missing transition",
        sql(
            "UPDATE orders_ordertransition SET sequence = 4"
            " WHERE order_id = %(refunded)s AND sequence = 3"
        ),
        "T2",
        "refunded",
    ),
    Violation(
        "a transition that is not allowed",
        sql(
            "DELETE FROM orders_ordertransition WHERE order_id = %(refunded)s AND sequence = 2",
            "UPDATE orders_ordertransition SET sequence = 2, source = 'confirmed'"
            " WHERE order_id = %(refunded)s AND sequence = 3",
            change_order("refunded", "version = 2"),
        ),
        "T3",
        "refunded",
    ),
    Violation(
        "a version that counts a transition too many",
        sql(change_order("confirmed", "version = 2")),
        "T4",
        "confirmed",
    ),
    Violation(
        "a transition out of a final status",
        sql(
            transition("refunded", 4, "cancelled", "cancelling"),
            transition("refunded", 5, "cancelling", "cancelled"),
            change_order("refunded", "version = 5"),
            event("refunded", "order.cancelled"),
        ),
        "T5",
        "refunded",
    ),
    Violation(
        "an order that has not ended within an hour",
        sql(change_order("waiting", "created_at = now() - interval '1 hour'")),
        "T6",
        "waiting",
    ),
    Violation(
        "a run that wakes too late",
        sql(change_run("waiting", "wake_at = now() + interval '2 hours'")),
        "T7",
        "waiting",
    ),
    Violation(
        "a run that never wakes",
        sql(
            drop_constraint("sagas_sagarun", "sagas_live_run_always_wakes"),
            change_run("waiting", "wake_at = NULL"),
        ),
        "T7",
        "waiting",
    ),
    Violation(
        "a compensation request that waits for too long",
        sql(change_run("capturing", "compensation_requested_at = now() - interval '5 minutes'")),
        "T8",
        "capturing",
    ),
    Violation(
        "a compensation request that a completed run ignored",
        sql(change_run("confirmed", "compensation_requested_at = now()")),
        "T8",
        "confirmed",
    ),
    Violation(
        "a lost worker whose lease ended long ago",
        sql(
            ATTEMPT_UNDER_WAY, change_run("doubtful", "leased_until = now() - interval '5 minutes'")
        ),
        "T9",
        "doubtful",
    ),
    Violation(
        "an accepted order that is lost",
        sql(idempotency_key("unknown", "alice", "cart-1")),
        "T10",
        "unknown",
        is_recent=False,
    ),
    Violation(
        "an order without a run",
        sql("DELETE FROM sagas_sagarun WHERE subject_id = %(waiting)s"),
        "T10",
        "waiting",
        also=(("T7", "waiting"),),
    ),
    Violation(
        "a step that was not compensated",
        sql(
            change_attempt(
                "declined",
                "outcome = 'failed'",
                "s.step = 'reserve_stock' AND s.direction = 'compensating'",
            )
        ),
        "T11",
        "declined",
    ),
    *(
        Violation(
            f"a step whose attempt is {outcome}, and that was not compensated",
            sql(
                change_attempt(
                    "declined",
                    f"outcome = '{outcome}'",
                    "s.step = 'reserve_stock' AND s.direction = 'forward'",
                ),
                change_attempt(
                    "declined",
                    "outcome = 'failed'",
                    "s.step = 'reserve_stock' AND s.direction = 'compensating'",
                ),
            ),
            "T11",
            "declined",
        )
        for outcome in ("proceeded", "unknown", "lost")
    ),
    Violation(
        "a cancelled order whose run completed",
        sql(change_run("declined", "status = 'completed'")),
        "T12",
        "declined",
    ),
    Violation(
        "a due run that no sweep found",
        sql(change_run("waiting", "wake_at = now() - interval '5 minutes'")),
        "R4",
        "waiting",
    ),
)
