"""Changes that depend on the clock only: refunds settle, authorizations expire."""

from dataclasses import replace

from sandbox.stripe_api.account import Account
from sandbox.stripe_api.payment_intents import canceled_version
from sandbox.stripe_api.records import IntentStatus, Record, Refund, RefundStatus


def apply_due_changes(account: Account, now: int) -> list[Record]:
    """Apply every change that is due by ``now`` to ``account``, and return them for the ledger."""
    changes: list[Record] = []
    while (object_id := account.pop_due(now)) is not None:
        refund = account.refunds.get(object_id)
        due = _lapse(account, object_id, now) if refund is None else _settle(account, refund)
        for record in due:
            account.apply(record)
        changes += due
    return changes


def _settle(account: Account, refund: Refund) -> list[Record]:
    if refund.settles_at is None:
        return []
    if refund.status == RefundStatus.PENDING:
        return [replace(refund, status=RefundStatus.SUCCEEDED, settles_at=None)]
    charge = account.charges[refund.charge]
    bounced = replace(
        refund,
        status=RefundStatus.FAILED,
        failure_reason="expired_or_canceled_card",
        settles_at=None,
    )
    return [bounced, replace(charge, amount_refunded=charge.amount_refunded - refund.amount)]


def _lapse(account: Account, charge_id: str, now: int) -> list[Record]:
    intent = account.intents[account.charges[charge_id].payment_intent]
    if intent.status != IntentStatus.REQUIRES_CAPTURE or intent.latest_charge != charge_id:
        return []
    return [canceled_version(intent, reason="automatic", now=now)]
