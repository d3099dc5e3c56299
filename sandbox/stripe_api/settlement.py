"""Changes without a call of the API: refunds settle, by the clock or a control; authorizations expire."""

from dataclasses import replace
from enum import StrEnum

from sandbox.stripe_api.account import Account
from sandbox.stripe_api.payment_intents import canceled_version
from sandbox.stripe_api.records import IntentStatus, Record, Refund, RefundStatus


class RefundResult(StrEnum):
    """What a control does to a pending refund."""

    SUCCEED = "succeed"
    FAIL = "fail"
    WAIT = "wait"  # it stays pending, however much time passes


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
    is_pending = refund.status == RefundStatus.PENDING
    return settled(account, refund, RefundResult.SUCCEED if is_pending else RefundResult.FAIL)


def settled(account: Account, refund: Refund, result: RefundResult) -> list[Record]:
    """Return the changes by which a refund ends, or no longer ends by itself."""
    match result:
        case RefundResult.SUCCEED:
            return [replace(refund, status=RefundStatus.SUCCEEDED, settles_at=None)]
        case RefundResult.WAIT:
            return [replace(refund, settles_at=None)]
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
