"""The bank's accounts as a relation beside our own tables, for as long as one query runs."""

from typing import Final
from uuid import UUID

from payments.provider_reconciliation import ProviderBalance

RELATION: Final = """
    WITH bank AS MATERIALIZED (
        SELECT *, held_minor + taken_minor - returned_minor AS net_minor
        FROM unnest(%(bank_intents)s::text[], %(bank_orders)s::uuid[], %(bank_subjects)s::text[],
                    %(bank_statuses)s::text[], %(bank_currencies)s::text[], %(bank_held)s::bigint[],
                    %(bank_taken)s::bigint[], %(bank_returned)s::bigint[])
            AS bank(intent_id, order_id, subject, status, currency,
                    held_minor, taken_minor, returned_minor))
"""


def columns(accounts: list[ProviderBalance]) -> dict[str, object]:
    """Return what RELATION needs. Where no order can be named, the subject is the intent."""
    return {
        "bank_intents": [each.intent_id for each in accounts],
        "bank_orders": [_order(each) for each in accounts],
        "bank_subjects": [(each.order_id or each.intent_id)[:255] for each in accounts],
        "bank_statuses": [each.status for each in accounts],
        "bank_currencies": [each.currency for each in accounts],
        "bank_held": [each.held_minor for each in accounts],
        "bank_taken": [each.taken_minor for each in accounts],
        "bank_returned": [each.returned_minor for each in accounts],
    }


def _order(account: ProviderBalance) -> UUID | None:
    try:
        return UUID(account.order_id)
    except ValueError:
        return None
