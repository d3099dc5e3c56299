"""Violations of the invariants of money."""

from typing import Final

from tests.support.violations.statements import (
    Violation,
    all_of,
    at_provider,
    change_attempt,
    change_order,
    change_payment,
    copy_of_payment,
    drop_constraint,
    refund,
    sql,
)

MONEY: Final = (
    Violation(
        "a completed order that was never captured",
        sql(change_payment("confirmed", "status = 'authorized'")),
        "M1",
        "confirmed",
    ),
    Violation(
        "a confirmed order without a payment",
        sql("DELETE FROM payments_payment WHERE order_id = %(confirmed)s"),
        "M1",
        "confirmed",
        also=(("M7", "confirmed"), ("O1", "confirmed")),
    ),
    Violation(
        "a refund that the provider does not have",
        at_provider("refunded", refunded_minor=0),
        "M2",
        "refunded",
    ),
    Violation(
        "a cancelled order refunded in part",
        at_provider("refunded", refunded_minor=4499),
        "M2",
        "refunded",
    ),
    Violation(
        "money held for a cancelled order", at_provider("declined", held_minor=1), "M2", "declined"
    ),
    Violation(
        "money of an unknown order",
        lambda history: history.add_at_provider("unknown"),
        "M2",
        "unknown",
    ),
    Violation(
        "money without an order",
        lambda history: history.add_at_provider("unknown", order_id=""),
        "M2",
        "pi_added",
    ),
    Violation(
        "two open payments",
        sql(
            "DROP INDEX payments_one_open_payment_per_order",
            copy_of_payment("confirmed"),
        ),
        "M3",
        "confirmed",
    ),
    Violation(
        "an order whose total is not the sum of its lines",
        sql(change_order("waiting", "total_minor = total_minor + 1")),
        "M4",
        "waiting",
    ),
    Violation(
        "an order without lines",
        sql("DELETE FROM orders_orderline WHERE order_id = %(waiting)s"),
        "M4",
        "waiting",
    ),
    Violation(
        "a charge of another amount",
        all_of(
            sql(
                change_payment(
                    "confirmed",
                    "amount_minor = 4400, params = jsonb_set(params, '{amount}', '4400')",
                )
            ),
            at_provider("confirmed", captured_minor=4400),
        ),
        "M4",
        "confirmed",
    ),
    Violation(
        "two refunds of one payment",
        sql(
            drop_constraint("payments_refund", "payments_one_refund_per_payment"),
            refund("refunded", 1, "succeeded"),
        ),
        "M5",
        "refunded",
    ),
    Violation(
        "an order refunded twice at the provider",
        at_provider("refunded", refunded_minor=9000),
        "M5",
        "refunded",
    ),
    Violation(
        "one cent less at the provider",
        at_provider("confirmed", captured_minor=4499),
        "M6",
        "confirmed",
    ),
    Violation(
        "a payment that the provider does not know",
        lambda history: history.remove_at_provider("confirmed"),
        "M6",
        "confirmed",
    ),
    Violation(
        "the same id at another provider",
        sql(change_payment("confirmed", "provider = 'elsewhere'")),
        "M6",
        "confirmed",
        also=(("M7", "confirmed"),),
    ),
    Violation("another currency", at_provider("confirmed", currency="usd"), "M6", "confirmed"),
    Violation(
        "an authorization that the provider released",
        at_provider("capturing", held_minor=0),
        "M6",
        "capturing",
    ),
    Violation(
        "a captured payment that the provider only holds",
        at_provider("confirmed", captured_minor=0, held_minor=4500),
        "M6",
        "confirmed",
    ),
    Violation(
        "a payment of an unknown order",
        sql(
            copy_of_payment("confirmed", order_id="%(unknown)s"),
            "UPDATE payments_payment SET params = jsonb_set(params, '{metadata,order_id}',"
            " to_jsonb(order_id)) WHERE order_id = %(unknown)s",
        ),
        "M7",
        "unknown",
        is_recent=False,
    ),
    Violation(
        "two payments at the provider",
        lambda history: history.add_at_provider("confirmed"),
        "M7",
        "confirmed",
    ),
    Violation(
        "an unknown outcome for an hour",
        sql(change_payment("doubtful", "created_at = now() - interval '1 hour'")),
        "M8",
        "doubtful",
    ),
    Violation(
        "a cancelled order whose payment is not closed",
        sql(change_payment("refunded", "closing_since = NULL")),
        "M11",
        "refunded",
    ),
    Violation(
        "a cancelled order that can still be paid",
        at_provider("declined", status="declined"),
        "M11",
        "declined",
    ),
    Violation(
        "a refund in another currency",
        sql("UPDATE payments_refund SET currency = 'usd'"),
        "M12",
        "refunded",
    ),
    Violation(
        "a refund of nothing",
        sql(
            drop_constraint("payments_refund", "payments_refund_is_positive"),
            "UPDATE payments_refund SET amount_minor = 0",
        ),
        "M12",
        "refunded",
    ),
    Violation(
        "a failed refund that no run tries again",
        sql(refund("confirmed", 4500, "failed")),
        "M13",
        "confirmed",
    ),
    Violation(
        "a refund that failed four days ago",
        sql(
            refund("capturing", 4500, "failed"),
            change_attempt(
                "capturing",
                "error = 'RefundFailed', started_at = now() - interval '4 days'",
                "s.step = 'authorize_payment'",
            ),
        ),
        "M13",
        "capturing",
    ),
)
