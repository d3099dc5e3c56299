"""Violations of the invariants of stock."""

from typing import Final

from tests.support.violations.statements import (
    OF_TEE,
    TEE_LEVEL,
    Violation,
    drop_constraint,
    event,
    movement,
    sql,
)

STOCK: Final = (
    Violation(
        "more reserved than there is",
        sql(
            drop_constraint("inventory_stocklevel", "inventory_never_oversold"),
            f"UPDATE inventory_stocklevel SET on_hand = 2 WHERE {TEE_LEVEL}",
            f"UPDATE inventory_stockmovement SET quantity = 2 WHERE kind = 'receipt' AND {OF_TEE}",
        ),
        "S1",
        "TEE@main",
    ),
    Violation(
        "a level without a movement",
        sql(f"UPDATE inventory_stocklevel SET reserved = reserved + 1 WHERE {TEE_LEVEL}"),
        "S2",
        "TEE@main",
    ),
    Violation(
        "a reservation that its level does not count",
        sql(
            "UPDATE inventory_reservation SET quantity = quantity + 1"
            f" WHERE order_id = %(doubtful)s AND {OF_TEE}"
        ),
        "S2",
        "TEE@main",
    ),
    Violation(
        "goods on hand without a receipt",
        sql(f"UPDATE inventory_stocklevel SET on_hand = on_hand + 1 WHERE {TEE_LEVEL}"),
        "S3",
        "TEE@main",
    ),
    Violation(
        "a line reserved twice and released once",
        sql(
            "DROP INDEX inventory_movement_once_per_line",
            movement("confirmed", "reserve"),
            movement("confirmed", "release"),
        ),
        "S4",
        "confirmed",
    ),
    Violation(
        "a confirmed order whose stock is only held",
        sql(
            "UPDATE inventory_reservation SET status = 'held'"
            f" WHERE order_id = %(confirmed)s AND {OF_TEE}"
        ),
        "S5",
        "confirmed",
    ),
    Violation(
        "a line with another product than its reservation",
        sql(
            "UPDATE orders_orderline SET sku = 'CUP' WHERE order_id = %(confirmed)s AND sku = 'TEE'"
        ),
        "S5",
        "confirmed",
        also=(("S8", "CUP"),),
    ),
    Violation(
        "a cancelled order that still reserves stock",
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
    Violation(
        "stock held for an unknown order",
        sql(
            "INSERT INTO inventory_reservation"
            " (order_id, line_id, stock_level_id, quantity, status, created_at)"
            " SELECT %(unknown)s, gen_random_uuid(), stock_level_id, quantity, 'held', now()"
            f" FROM inventory_reservation WHERE order_id = %(confirmed)s AND {OF_TEE}",
            movement("unknown", "reserve"),
            f"UPDATE inventory_stocklevel SET reserved = reserved + 1 WHERE {TEE_LEVEL}",
            event("unknown", "stock.reserved"),
        ),
        "S7",
        "unknown",
        is_recent=False,
    ),
    Violation(
        "more sold than was received",
        sql(
            drop_constraint("inventory_stocklevel", "inventory_never_oversold"),
            f"UPDATE inventory_stocklevel SET on_hand = 1 WHERE {TEE_LEVEL}",
            f"UPDATE inventory_stockmovement SET quantity = 1 WHERE kind = 'receipt' AND {OF_TEE}",
        ),
        "S8",
        "TEE",
        also=(("S1", "TEE@main"),),
    ),
)
