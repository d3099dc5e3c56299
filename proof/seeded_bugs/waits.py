"""Bugs in orders that wait: for their customers, or for a review."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

import approvals.services
import sagas.services
from approvals.states import ApprovalStatus
from payments import payment_operations
from proof.seeded_bugs.patching import replace


def replaced_payment_left_open() -> None:
    """A payment that another one replaces is not cancelled at the provider."""
    replace(payment_operations, "_close_replaced", lambda *_: None)


def payment_replaced_during_a_look() -> None:
    """A payment is replaced while a call looks at it, and the call's result counts for the new one."""

    def see_no_call(_: UUID) -> bool:
        return False

    replace(sagas.services, "is_calling", see_no_call)


def approval_left_open() -> None:
    """An approval stays open after its order has ended without a decision."""

    def expire_nothing(_: Collection[UUID], __: str) -> list[UUID]:
        return []

    replace(approvals.services, "_expire", expire_nothing)


def rejection_taken_for_approval() -> None:
    """An order goes on when its approval is decided, whatever the decision is."""
    decisions = approvals.services.decisions

    def all_approved(*arguments: Any) -> dict[UUID, Any]:
        decided = decisions(*arguments)
        for approval in decided.values():
            approval.status = ApprovalStatus.APPROVED
        return decided

    replace(approvals.services, "decisions", all_approved)
