"""The providers' payments as a relation that a query can join with our own tables."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from payments.provider_reconciliation import ProviderBalance

RELATION: Final = """
    WITH provider_payment AS MATERIALIZED (
        SELECT *, held_minor + captured_minor - refunded_minor AS net_minor
        FROM unnest(%(provider_names)s::text[], %(provider_payment_ids)s::text[],
                    %(provider_order_ids)s::uuid[], %(provider_subjects)s::text[],
                    %(provider_statuses)s::text[], %(provider_currencies)s::text[],
                    %(provider_held)s::bigint[], %(provider_captured)s::bigint[],
                    %(provider_refunded)s::bigint[])
            AS listed(provider, provider_payment_id, order_id, subject, status, currency,
                      held_minor, captured_minor, refunded_minor))
"""


def columns(balances: Sequence[ProviderBalance]) -> dict[str, object]:
    """Return the parameters of RELATION. A subject is the order's id; without one, the payment's."""
    return {
        "provider_names": [balance.provider for balance in balances],
        "provider_payment_ids": [balance.provider_payment_id for balance in balances],
        "provider_order_ids": [_order_id(balance) for balance in balances],
        "provider_subjects": [
            (balance.order_id or balance.provider_payment_id)[:255] for balance in balances
        ],
        "provider_statuses": [balance.status for balance in balances],
        "provider_currencies": [balance.currency for balance in balances],
        "provider_held": [balance.held_minor for balance in balances],
        "provider_captured": [balance.captured_minor for balance in balances],
        "provider_refunded": [balance.refunded_minor for balance in balances],
    }


def _order_id(balance: ProviderBalance) -> UUID | None:
    try:
        return UUID(balance.order_id)
    except ValueError:
        return None
