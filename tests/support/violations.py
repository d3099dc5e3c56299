"""For every invariant, ways to break it and nothing else: by SQL, or in what the provider says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.support.order_history import Books

OF_TEE: Final = (
    "stock_level_id = (SELECT l.id FROM inventory_stocklevel l"
    " JOIN inventory_product s ON s.id = l.product_id WHERE s.sku = 'TEE')"
)
TEE_LEVEL: Final = OF_TEE.replace("stock_level_id", "id")


@dataclass(frozen=True)
class Planting:
    """A violation: what is done, and the findings that must follow, codes with their subjects."""

    name: str
    plant: Callable[[Books], object]
    code: str
    subject: str
    """An order of the books, or else the subject itself."""
    also: tuple[tuple[str, str], ...] = ()
    """What cannot but be broken with it."""
    is_seen_lately: bool = True
    """A check of what moved lately sees it as well."""


def sql(*statements: str) -> Callable[[Books], object]:
    return lambda books: books.execute(*statements)


def at_provider(order: str, **changes: object) -> Callable[[Books], object]:
    return lambda books: books.change_at_provider(order, **changes)


def all_of(*plants: Callable[[Books], object]) -> Callable[[Books], object]:
    return lambda books: [plant(books) for plant in plants]


def copy_of_payment(order: str, **values: str) -> str:
    """Insert a payment like the one of ``order``, with some values of its own, under a new id."""
    columns = {
        "id": "new.id",
        "order_id": "p.order_id",
        "correlation_id": "p.correlation_id",
        "status": "'intended'",
        "amount_minor": "p.amount_minor",
        "currency": "p.currency",
        "params": "jsonb_set(p.params, '{metadata,payment_id}', to_jsonb(new.id))",
        "api_version": "p.api_version",
        "provider": "p.provider",
        "provider_payment_id": "NULL",
        "key_generation": "1",
        "replayed_error_count": "0",
        "closed_at": "NULL",
        "decline_code": "''",
        "created_at": "now()",
        **values,
    }
    return (
        f"INSERT INTO payments_payment ({', '.join(columns)}) SELECT {', '.join(columns.values())}"
        f" FROM payments_payment p, gen_random_uuid() AS new(id) WHERE p.order_id = %({order})s"
    )


def move(order: str, sequence: int, source: str, target: str) -> str:
    return (
        "INSERT INTO orders_ordertransition (order_id, sequence, source, target, cause, actor, at)"
        f" VALUES (%({order})s, {sequence}, '{source}', '{target}', 'planted', '', now())"
    )


def told(order: str, name: str) -> str:
    return (
        "INSERT INTO events_outboxevent (id, name, version, key, correlation_id, payload)"
        f" VALUES (gen_random_uuid(), '{name}', 1, %({order})s, gen_random_uuid(), '{{}}')"
    )


def refund(order: str, amount: int, status: str) -> str:
    return (
        "INSERT INTO payments_refund"
        " (id, payment_id, amount_minor, currency, status, provider_refund_id, created_at)"
        f" SELECT gen_random_uuid(), id, {amount}, currency, '{status}', 're_planted', now()"
        f" FROM payments_payment WHERE order_id = %({order})s"
    )


def movement(order: str, kind: str, quantity: str = "quantity") -> str:
    """One more movement for the line of ``order`` that is a T-shirt."""
    return (
        "INSERT INTO inventory_stockmovement (stock_level_id, kind, quantity, line_id, note, at)"
        f" SELECT stock_level_id, '{kind}', {quantity}, line_id, 'planted', now()"
        f" FROM inventory_reservation WHERE order_id = %({order})s AND {OF_TEE}"
    )


def key_of(order: str, customer: str, key: str) -> str:
    return (
        "INSERT INTO orders_idempotencyrecord (customer_id, key, fingerprint, order_id, created_at)"
        f" SELECT id, '{key}', '', %({order})s, now() FROM auth_user WHERE username = '{customer}'"
    )


def run_of(order: str, changes: str) -> str:
    return f"UPDATE sagas_sagarun SET {changes} WHERE subject_id = %({order})s"


def record_of(order: str, changes: str, where: str) -> str:
    return (
        f"UPDATE sagas_stepattempt s SET {changes} FROM sagas_sagarun r"
        f" WHERE r.id = s.run_id AND r.subject_id = %({order})s AND {where}"
    )


def payment_of(order: str, changes: str) -> str:
    return f"UPDATE payments_payment SET {changes} WHERE order_id = %({order})s"


def order_row(order: str, changes: str) -> str:
    return f"UPDATE orders_order SET {changes} WHERE id = %({order})s"


def without(table: str, constraint: str) -> str:
    return f"ALTER TABLE {table} DROP CONSTRAINT {constraint}"


UNDER_WAY: Final = record_of(
    "doubtful",
    "outcome = 'started', ended_at = NULL",
    "s.step = 'authorize_payment' AND s.fence = r.fence",
)

MONEY: Final = (
    Planting(
        "completed and never captured",
        sql(payment_of("confirmed", "status = 'authorized'")),
        "M1",
        "confirmed",
    ),
    Planting(
        "confirmed without any payment",
        sql("DELETE FROM payments_payment WHERE order_id = %(confirmed)s"),
        "M1",
        "confirmed",
        also=(("M7", "confirmed"), ("O1", "confirmed")),
    ),
    Planting(
        "not refunded at the provider", at_provider("refunded", refunded_minor=0), "M2", "refunded"
    ),
    Planting("partly refunded", at_provider("refunded", refunded_minor=4499), "M2", "refunded"),
    Planting("held for a cancelled order", at_provider("declined", held_minor=1), "M2", "declined"),
    Planting(
        "money of an order that never was", lambda b: b.add_at_provider("unknown"), "M2", "unknown"
    ),
    Planting(
        "money of nobody",
        lambda b: b.add_at_provider("unknown", order_id=""),
        "M2",
        "pi_planted",
    ),
    Planting(
        "two open payments",
        sql(
            "DROP INDEX payments_one_open_payment_per_order",
            copy_of_payment("confirmed"),
        ),
        "M3",
        "confirmed",
    ),
    Planting(
        "a total that is not the sum",
        sql(order_row("waiting", "total_minor = total_minor + 1")),
        "M4",
        "waiting",
    ),
    Planting(
        "an order without lines",
        sql("DELETE FROM orders_orderline WHERE order_id = %(waiting)s"),
        "M4",
        "waiting",
    ),
    Planting(
        "another sum charged",
        all_of(
            sql(
                payment_of(
                    "confirmed",
                    "amount_minor = 4400, params = jsonb_set(params, '{amount}', '4400')",
                )
            ),
            at_provider("confirmed", captured_minor=4400),
        ),
        "M4",
        "confirmed",
    ),
    Planting(
        "refunded twice",
        sql(
            without("payments_refund", "payments_one_refund_per_payment"),
            refund("refunded", 1, "succeeded"),
        ),
        "M5",
        "refunded",
    ),
    Planting(
        "refunded twice at the provider",
        at_provider("refunded", refunded_minor=9000),
        "M5",
        "refunded",
    ),
    Planting(
        "a cent less at the provider",
        at_provider("confirmed", captured_minor=4499),
        "M6",
        "confirmed",
    ),
    Planting(
        "unknown to the provider", lambda b: b.remove_at_provider("confirmed"), "M6", "confirmed"
    ),
    Planting(
        "the same id at another provider",
        sql(payment_of("confirmed", "provider = 'elsewhere'")),
        "M6",
        "confirmed",
        also=(("M7", "confirmed"),),
    ),
    Planting("another currency", at_provider("confirmed", currency="usd"), "M6", "confirmed"),
    Planting("let go by the provider", at_provider("capturing", held_minor=0), "M6", "capturing"),
    Planting(
        "captured, and only held",
        at_provider("confirmed", captured_minor=0, held_minor=4500),
        "M6",
        "confirmed",
    ),
    Planting(
        "a payment of no order",
        sql(
            copy_of_payment("confirmed", order_id="%(unknown)s"),
            "UPDATE payments_payment SET params = jsonb_set(params, '{metadata,order_id}',"
            " to_jsonb(order_id)) WHERE order_id = %(unknown)s",
        ),
        "M7",
        "unknown",
        is_seen_lately=False,
    ),
    Planting("charged twice", lambda b: b.add_at_provider("confirmed"), "M7", "confirmed"),
    Planting(
        "in doubt for an hour",
        sql(payment_of("doubtful", "created_at = now() - interval '1 hour'")),
        "M8",
        "doubtful",
    ),
    Planting(
        "cancelled and not closed",
        sql(payment_of("refunded", "closed_at = NULL")),
        "M11",
        "refunded",
    ),
    Planting(
        "cancelled and can still be paid",
        at_provider("declined", status="declined"),
        "M11",
        "declined",
    ),
    Planting(
        "a refund in another currency",
        sql("UPDATE payments_refund SET currency = 'usd'"),
        "M12",
        "refunded",
    ),
    Planting(
        "a refund of nothing",
        sql(
            without("payments_refund", "payments_refund_is_positive"),
            "UPDATE payments_refund SET amount_minor = 0",
        ),
        "M12",
        "refunded",
    ),
    Planting("a refund that failed", sql(refund("confirmed", 4500, "failed")), "M13", "confirmed"),
)

STOCK: Final = (
    Planting(
        "more reserved than there is",
        sql(
            without("inventory_stocklevel", "inventory_never_oversold"),
            f"UPDATE inventory_stocklevel SET on_hand = 2 WHERE {TEE_LEVEL}",
            f"UPDATE inventory_stockmovement SET quantity = 2 WHERE kind = 'receipt' AND {OF_TEE}",
        ),
        "S1",
        "TEE@main",
    ),
    Planting(
        "a level that nobody moved",
        sql(f"UPDATE inventory_stocklevel SET reserved = reserved + 1 WHERE {TEE_LEVEL}"),
        "S2",
        "TEE@main",
    ),
    Planting(
        "a reservation that no level knows",
        sql(
            "UPDATE inventory_reservation SET quantity = quantity + 1"
            f" WHERE order_id = %(doubtful)s AND {OF_TEE}"
        ),
        "S2",
        "TEE@main",
    ),
    Planting(
        "goods from nowhere",
        sql(f"UPDATE inventory_stocklevel SET on_hand = on_hand + 1 WHERE {TEE_LEVEL}"),
        "S3",
        "TEE@main",
    ),
    Planting(
        "a line that took twice and gave back once",
        sql(
            "DROP INDEX inventory_movement_once_per_line",
            movement("confirmed", "reserve"),
            movement("confirmed", "release"),
        ),
        "S4",
        "confirmed",
    ),
    Planting(
        "confirmed, and only held",
        sql(
            "UPDATE inventory_reservation SET status = 'held'"
            f" WHERE order_id = %(confirmed)s AND {OF_TEE}"
        ),
        "S5",
        "confirmed",
    ),
    Planting(
        "the wrong product",
        sql(
            "UPDATE orders_orderline SET sku = 'CUP' WHERE order_id = %(confirmed)s AND sku = 'TEE'"
        ),
        "S5",
        "confirmed",
        also=(("S8", "CUP"),),
    ),
    Planting(
        "cancelled, and still holding",
        sql(
            "DELETE FROM inventory_stockmovement m USING inventory_reservation r"
            " WHERE m.line_id = r.line_id AND m.kind = 'release' AND r.order_id = %(refunded)s"
            f" AND r.{OF_TEE}",
            "UPDATE inventory_reservation SET status = 'confirmed'"
            f" WHERE order_id = %(refunded)s AND {OF_TEE}",
            f"UPDATE inventory_stocklevel SET reserved = reserved + 1 WHERE {TEE_LEVEL}",
        ),
        "S6",
        "refunded",
    ),
    Planting(
        "held for nobody",
        sql(
            "INSERT INTO inventory_reservation"
            " (order_id, line_id, stock_level_id, quantity, status, created_at)"
            " SELECT %(unknown)s, gen_random_uuid(), stock_level_id, quantity, 'held', now()"
            f" FROM inventory_reservation WHERE order_id = %(confirmed)s AND {OF_TEE}",
            movement("unknown", "reserve"),
            f"UPDATE inventory_stocklevel SET reserved = reserved + 1 WHERE {TEE_LEVEL}",
            told("unknown", "stock.reserved"),
        ),
        "S7",
        "unknown",
        is_seen_lately=False,
    ),
    Planting(
        "sold more than ever came in",
        sql(
            without("inventory_stocklevel", "inventory_never_oversold"),
            f"UPDATE inventory_stocklevel SET on_hand = 1 WHERE {TEE_LEVEL}",
            f"UPDATE inventory_stockmovement SET quantity = 1 WHERE kind = 'receipt' AND {OF_TEE}",
        ),
        "S8",
        "TEE",
        also=(("S1", "TEE@main"),),
    ),
)

STATE: Final = (
    Planting(
        "not where the last move led",
        sql(
            move("capturing", 2, "confirmed", "cancelling"),
            order_row("capturing", "version = 2"),
        ),
        "T1",
        "capturing",
    ),
    Planting(
        "a move is missing",
        sql(
            "UPDATE orders_ordertransition SET sequence = 4"
            " WHERE order_id = %(refunded)s AND sequence = 3"
        ),
        "T2",
        "refunded",
    ),
    Planting(
        "a move that does not exist",
        sql(
            "DELETE FROM orders_ordertransition WHERE order_id = %(refunded)s AND sequence = 2",
            "UPDATE orders_ordertransition SET sequence = 2, source = 'confirmed'"
            " WHERE order_id = %(refunded)s AND sequence = 3",
            order_row("refunded", "version = 2"),
        ),
        "T3",
        "refunded",
    ),
    Planting("a move not counted", sql(order_row("confirmed", "version = 2")), "T4", "confirmed"),
    Planting(
        "back from the end",
        sql(
            move("refunded", 4, "cancelled", "cancelling"),
            move("refunded", 5, "cancelling", "cancelled"),
            order_row("refunded", "version = 5"),
            told("refunded", "order.cancelled"),
        ),
        "T5",
        "refunded",
    ),
    Planting(
        "no end in an hour",
        sql(order_row("waiting", "created_at = now() - interval '1 hour'")),
        "T6",
        "waiting",
    ),
    Planting(
        "asleep for long",
        sql(run_of("waiting", "wake_at = now() + interval '2 hours'")),
        "T7",
        "waiting",
    ),
    Planting(
        "asleep for ever",
        sql(
            without("sagas_sagarun", "sagas_live_run_always_wakes"),
            run_of("waiting", "wake_at = NULL"),
        ),
        "T7",
        "waiting",
    ),
    Planting(
        "a wish not heard",
        sql(run_of("capturing", "compensation_requested_at = now() - interval '5 minutes'")),
        "T8",
        "capturing",
    ),
    Planting(
        "a wish passed over",
        sql(run_of("confirmed", "compensation_requested_at = now()")),
        "T8",
        "confirmed",
    ),
    Planting(
        "a lost worker not missed",
        sql(UNDER_WAY, run_of("doubtful", "leased_until = now() - interval '5 minutes'")),
        "T9",
        "doubtful",
    ),
    Planting(
        "accepted and lost",
        sql(key_of("unknown", "alice", "cart-1")),
        "T10",
        "unknown",
        is_seen_lately=False,
    ),
    Planting(
        "an order that nobody carries",
        sql("DELETE FROM sagas_sagarun WHERE subject_id = %(waiting)s"),
        "T10",
        "waiting",
        also=(("T7", "waiting"),),
    ),
    Planting(
        "a step not undone",
        sql(
            record_of(
                "declined",
                "outcome = 'failed'",
                "s.step = 'reserve_stock' AND s.direction = 'compensating'",
            )
        ),
        "T11",
        "declined",
    ),
    Planting(
        "cancelled by nobody", sql(run_of("declined", "status = 'completed'")), "T12", "declined"
    ),
    Planting(
        "nobody sweeps",
        sql(run_of("waiting", "wake_at = now() - interval '5 minutes'")),
        "R4",
        "waiting",
    ),
)

JOURNAL: Final = (
    Planting(
        "a client's key used twice",
        sql(
            without("orders_idempotencyrecord", "orders_idempotency_key_once_per_customer"),
            key_of("confirmed", "alice", "cart-1"),
            key_of("confirmed", "alice", "cart-1"),
        ),
        "J1",
        "confirmed",
    ),
    Planting(
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
    Planting(
        "answered before it was asked",
        sql(
            record_of(
                "confirmed",
                "ended_at = s.started_at - interval '1 second'",
                "s.step = 'capture_payment'",
            )
        ),
        "J2",
        "confirmed",
    ),
    Planting(
        "the provider was asked for something else",
        sql(payment_of("confirmed", "params = jsonb_set(params, '{amount}', '9999')")),
        "J3",
        "confirmed",
    ),
    Planting("tried for too long", sql(run_of("doubtful", "retry_count = 9")), "J4", "doubtful"),
    Planting(
        "an attempt torn out",
        sql(record_of("doubtful", "number = 2", "s.step = 'authorize_payment'")),
        "J5",
        "doubtful",
    ),
    Planting("a stranger's key", sql(key_of("confirmed", "mallory", "cart-1")), "J6", "confirmed"),
    Planting(
        "leased, and nobody at work",
        sql(run_of("doubtful", "leased_until = now() + interval '5 seconds'")),
        "J8",
        "doubtful",
    ),
    Planting("at work without a lease", sql(UNDER_WAY), "J8", "doubtful"),
)

OUTBOX: Final = (
    Planting(
        "confirmed and not told",
        sql(
            "DELETE FROM events_outboxevent WHERE key = %(confirmed)s AND name = 'order.confirmed'"
        ),
        "O1",
        "confirmed",
    ),
    Planting("told twice", sql(told("confirmed", "payment.captured")), "O1", "confirmed"),
    Planting("told and never so", sql(told("waiting", "order.confirmed")), "O1", "waiting"),
)

PLANTINGS: Final = (*MONEY, *STOCK, *STATE, *JOURNAL, *OUTBOX)
