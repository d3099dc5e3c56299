"""The providers' payments as a relation that a query can join with our own tables."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from payments.provider_reconciliation import ProviderPaymentState

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


def columns(states: Sequence[ProviderPaymentState]) -> dict[str, object]:
    """Return the parameters of RELATION. A subject is the order's id; without one, the payment's."""
    return {
        "provider_names": [state.provider for state in states],
        "provider_payment_ids": [state.provider_payment_id for state in states],
        "provider_order_ids": [_order_id(state) for state in states],
        "provider_subjects": [
            (state.order_id or state.provider_payment_id)[:255] for state in states
        ],
        "provider_statuses": [state.status for state in states],
        "provider_currencies": [state.currency for state in states],
        "provider_held": [state.held_minor for state in states],
        "provider_captured": [state.captured_minor for state in states],
        "provider_refunded": [state.refunded_minor for state in states],
    }


def _order_id(state: ProviderPaymentState) -> UUID | None:
    try:
        return UUID(state.order_id)
    except ValueError:
        return None
