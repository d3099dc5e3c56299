"""Fills tables with thousands of rows, by one statement per table.

``write_many_rows`` writes 12,000 rows into each growing table, as after a year.
``insert_waiting_runs`` writes live runs alone.
"""

from typing import Final

from django.db import connection

ROWS: Final = 12_000

# Each id is the hash of its row's number: ids are spread as random ones are.
_ID: Final = "md5('{}' || n)::uuid"

_TABLES: Final = {
    "auth_user": "INSERT INTO auth_user (username, password, first_name, last_name, email, is_active,"
    " is_staff, is_superuser, date_joined) SELECT 'customer' || n, '', '', '', '', true, false, false,"
    " now() FROM generate_series(1, {rows}) n",
    "orders_order": "INSERT INTO orders_order (id, customer_id, status, version, currency, total_minor,"
    " payment_method, reason, reason_detail) SELECT {order}, u.id, 'confirmed', 1, 'eur', 1000, 'pm', '',"
    " '' FROM generate_series(1, {rows}) n JOIN auth_user u ON u.username = 'customer' || n",
    "sagas_sagarun": "INSERT INTO sagas_sagarun (id, saga, version, key, subject_id, correlation_id, status,"
    " step, attempt_count, retry_count, fence, wake_at, redispatch_count, reason, reason_detail, actor,"
    " needs_attention, attention_reason, pause_reason, ended_at) SELECT {run}, 'checkout', 1, {order}, {order}, {order},"
    " 'completed', '', 0, 0, 1, NULL, 0, '', '', '', false, '', '', now() FROM generate_series(1, {rows}) n",
    "payments_payment": "INSERT INTO payments_payment (id, order_id, correlation_id, status,"
    " amount_minor, currency, params, provider, api_version, provider_payment_id, key_version, replayed_error_count,"
    " decline_code) SELECT {payment}, {order}, {order}, 'captured', 1000, 'eur', '{{}}', 'stripe', 'v', 'pi_' || n,"
    " 1, 0, '' FROM generate_series(1, {rows}) n",
    "payments_refund": "INSERT INTO payments_refund (id, payment_id, amount_minor, currency, status,"
    " provider_refund_id) SELECT {payment}, {payment}, 1000, 'eur', 'succeeded', 're_' || n"
    " FROM generate_series(1, {rows}) n",
    "events_outboxevent": "INSERT INTO events_outboxevent (id, name, version, key, correlation_id,"
    " payload) SELECT {run}, 'order.placed', 1, {order}, {order}, '{{}}'"
    " FROM generate_series(1, {rows}) n",
    "inventory_warehouse": "INSERT INTO inventory_warehouse (code, name) VALUES ('far', 'Far')",
    "inventory_product": "INSERT INTO inventory_product (sku, name, price_minor, is_withdrawn)"
    " SELECT 'SKU-' || n, 'Thing ' || n, 100, false FROM generate_series(1, {rows}) n",
    "inventory_stocklevel": "INSERT INTO inventory_stocklevel (product_id, warehouse_id, on_hand,"
    " reserved) SELECT p.id, w.id, 9, 1 FROM inventory_product p, inventory_warehouse w"
    " WHERE w.code = 'far'",
    "inventory_reservation": "INSERT INTO inventory_reservation (order_id, line_id, stock_level_id,"
    " quantity, status) SELECT {order}, {line}, l.id, 1, 'confirmed' FROM generate_series(1, {rows}) n,"
    " (SELECT max(id) AS id FROM inventory_stocklevel) l",
    "inventory_stockmovement": "INSERT INTO inventory_stockmovement (line_id, stock_level_id, kind,"
    " quantity, note) SELECT {line}, l.id, 'reserve', 1, '' FROM generate_series(1, {rows}) n,"
    " (SELECT max(id) AS id FROM inventory_stocklevel) l",
    "approvals_approval": "INSERT INTO approvals_approval (id, subject_id, correlation_id, name, wait, question,"
    ' deadline, "default", status, decided_at, decided_by, decided_via, comment, link_generation)'
    " SELECT {run}, {order}, {order}, 'order_review', 'await_review', 'q', now(), 'reject', 'approved', now(), 'grace',"
    " 'desk', '', 0 FROM generate_series(1, {rows}) n",
    "invariants_reconciliationbreak": "INSERT INTO invariants_reconciliationbreak (code, kind, subject,"
    " detail, first_seen, last_seen, times_seen, resolution, resolved_by) SELECT 'T4', 'state',"
    " ({order})::text, 'd', now(), now(), 1, '', '' FROM generate_series(1, {rows}) n",
    "desk_operatoraction": "INSERT INTO desk_operatoraction (id, token, operator_id, kind, reason,"
    " outcome, message, before, after) SELECT {run}, {run}, u.id, 'note', 'r', 'done', '', '', ''"
    " FROM generate_series(1, {rows}) n, (SELECT max(id) AS id FROM auth_user) u",
    "desk_bulkaction": "INSERT INTO desk_bulkaction (id, token, operator_id, kind, reason, selection,"
    " count, stopped_by, ended_at) SELECT {run}, {run}, u.id, 'note', 'r', 'all', 1, '', now()"
    " FROM generate_series(1, {rows}) n, (SELECT max(id) AS id FROM auth_user) u",
    "access_apitoken": "INSERT INTO access_apitoken (id, digest, token_key, created, user_id, name,"
    " scopes, revoked_by, revoked_reason) SELECT {run}, n::text, 'key' || n, now(), u.id, '',"
    " '{{orders:read}}', '', '' FROM generate_series(1, {rows}) n,"
    " (SELECT max(id) AS id FROM auth_user) u",
    "axes_accessattempt": "INSERT INTO axes_accessattempt (username, ip_address, user_agent,"
    " http_accept, path_info, attempt_time, get_data, post_data, failures_since_start)"
    " SELECT 'guess' || n, '192.0.2.1', '', '', '/', now(), '', '', 1"
    " FROM generate_series(1, {rows}) n",
    "django_admin_log": "INSERT INTO django_admin_log (action_time, user_id, object_id, object_repr,"
    " action_flag, change_message) SELECT now(), u.id, '1', 'MUG', 2, '' FROM"
    " generate_series(1, {rows}) n, (SELECT max(id) AS id FROM auth_user) u",
}


def write_many_rows() -> None:
    """Fill every growing table that a list at the desk shows."""
    ids = {kind: _ID.format(kind) for kind in ("run", "order", "payment", "line")}
    with connection.cursor() as cursor:
        for table, statement in _TABLES.items():
            cursor.execute(statement.format(rows=ROWS, **ids))
            cursor.execute(f"ANALYZE {table}")


def id_of(kind: str, number: int = 77) -> str:
    """Return the id of the row with this number."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT (md5('{kind}' || %s))::uuid::text", [number])
        return str(cursor.fetchone()[0])


def insert_waiting_runs(count: int, version: int = 1) -> None:
    """Write this many runs of the saga "parcel", whose deadlines are an hour apart, from in an hour on."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO sagas_sagarun (id, saga, version, key, subject_id, correlation_id, status, step,
                attempt_count, retry_count, fence, redispatch_count, wake_at, waits_for, waiting_since,
                waiting_until, reason, reason_detail, actor, needs_attention, attention_reason, pause_reason)
            SELECT gen_random_uuid(), 'parcel', %s, gen_random_uuid(), gen_random_uuid(),
                gen_random_uuid(), 'running', 'pack', 0, 0, 0, 0, now() + n * interval '1 hour', 'pack',
                now(), now() + n * interval '1 hour', '', '', '', false, '', ''
            FROM generate_series(1, %s) n
            """,
            [version, count],
        )
