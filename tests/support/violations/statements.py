"""What a violation is, and the SQL that makes one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.support.order_history import OrderHistory

OF_TEE: Final = (
    "stock_level_id = (SELECT l.id FROM inventory_stocklevel l"
    " JOIN inventory_product s ON s.id = l.product_id WHERE s.sku = 'TEE')"
)
TEE_LEVEL: Final = OF_TEE.replace("stock_level_id", "id")


@dataclass(frozen=True)
class Violation:
    """A change of a shop's rows or of the provider's reading, and the findings that must follow."""

    name: str
    apply: Callable[[OrderHistory], object]
    code: str
    subject: str
    """The name of an order in the history, or else the subject itself."""
    also: tuple[tuple[str, str], ...] = ()
    """Further findings, which cannot be avoided: codes with their subjects."""
    is_recent: bool = True
    """Whether a check of recent orders finds it as well."""


def sql(*statements: str) -> Callable[[OrderHistory], object]:
    return lambda history: history.execute(*statements)


def at_provider(order: str, **changes: object) -> Callable[[OrderHistory], object]:
    return lambda history: history.change_at_provider(order, **changes)


def all_of(*changes: Callable[[OrderHistory], object]) -> Callable[[OrderHistory], object]:
    return lambda history: [change(history) for change in changes]


def copy_of_payment(order: str, **values: str) -> str:
    """Insert a copy of the order's payment under a new id, with these values."""
    columns = {
        "id": "new.id",
        "order_id": "p.order_id",
        "correlation_id": "p.correlation_id",
        "status": "'prepared'",
        "amount_minor": "p.amount_minor",
        "currency": "p.currency",
        "params": "jsonb_set(p.params, '{metadata,payment_id}', to_jsonb(new.id))",
        "api_version": "p.api_version",
        "provider": "p.provider",
        "provider_payment_id": "NULL",
        "key_version": "1",
        "replayed_error_count": "0",
        "closing_since": "NULL",
        "decline_code": "''",
        "created_at": "now()",
        **values,
    }
    return (
        f"INSERT INTO payments_payment ({', '.join(columns)}) SELECT {', '.join(columns.values())}"
        f" FROM payments_payment p, gen_random_uuid() AS new(id) WHERE p.order_id = %({order})s"
    )


def transition(order: str, sequence: int, source: str, target: str) -> str:
    return (
        "INSERT INTO orders_ordertransition (order_id, sequence, source, target, cause, actor, at)"
        f" VALUES (%({order})s, {sequence}, '{source}', '{target}', 'added', '', now())"
    )


def event(order: str, name: str) -> str:
    return (
        "INSERT INTO events_outboxevent (id, name, version, key, correlation_id, payload)"
        f" VALUES (gen_random_uuid(), '{name}', 1, %({order})s, gen_random_uuid(), '{{}}')"
    )


def refund(order: str, amount: int, status: str) -> str:
    return (
        "INSERT INTO payments_refund"
        " (id, payment_id, amount_minor, currency, status, provider_refund_id, created_at)"
        f" SELECT gen_random_uuid(), id, {amount}, currency, '{status}', 're_added', now()"
        f" FROM payments_payment WHERE order_id = %({order})s"
    )


def movement(order: str, kind: str, quantity: str = "quantity") -> str:
    """Insert one more movement for the order's line of T-shirts."""
    return (
        "INSERT INTO inventory_stockmovement (stock_level_id, kind, quantity, line_id, note, at)"
        f" SELECT stock_level_id, '{kind}', {quantity}, line_id, 'added', now()"
        f" FROM inventory_reservation WHERE order_id = %({order})s AND {OF_TEE}"
    )


def idempotency_key(order: str, customer: str, key: str) -> str:
    return (
        "INSERT INTO orders_idempotencyrecord (customer_id, key, fingerprint, order_id, created_at)"
        f" SELECT id, '{key}', '', %({order})s, now() FROM auth_user WHERE username = '{customer}'"
    )


def change_run(order: str, changes: str) -> str:
    return f"UPDATE sagas_sagarun SET {changes} WHERE subject_id = %({order})s"


def change_attempt(order: str, changes: str, where: str) -> str:
    return (
        f"UPDATE sagas_stepattempt s SET {changes} FROM sagas_sagarun r"
        f" WHERE r.id = s.run_id AND r.subject_id = %({order})s AND {where}"
    )


def change_payment(order: str, changes: str) -> str:
    return f"UPDATE payments_payment SET {changes} WHERE order_id = %({order})s"


def change_order(order: str, changes: str) -> str:
    return f"UPDATE orders_order SET {changes} WHERE id = %({order})s"


def drop_constraint(table: str, constraint: str) -> str:
    return f"ALTER TABLE {table} DROP CONSTRAINT {constraint}"


ATTEMPT_UNDER_WAY: Final = change_attempt(
    "doubtful",
    "outcome = 'started', ended_at = NULL",
    "s.step = 'authorize_payment' AND s.fence = r.fence",
)
