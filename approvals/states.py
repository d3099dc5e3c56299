"""The values of an approval: what may be decided, by which way, and what happens without a decision."""

from collections.abc import Mapping
from typing import Final

from django.db.models import TextChoices


class ApprovalStatus(TextChoices):
    OPEN = "open"  # no decision yet
    APPROVED = "approved"  # final
    REJECTED = "rejected"  # final
    EXPIRED = "expired"  # final: the order does not wait for a decision any more


class Decision(TextChoices):
    """What can be decided. Stable: part of addresses and commands."""

    APPROVE = "approve"
    REJECT = "reject"


class DefaultAction(TextChoices):
    """What the order's run does when the deadline passes without a decision."""

    APPROVE = "approve"
    REJECT = "reject"
    ESCALATE = "escalate"  # flags the order for staff, and goes on waiting


class DecidedVia(TextChoices):
    """The way by which an approval was decided."""

    DESK = "desk"
    API = "api"
    LINK = "link"
    DEADLINE = "deadline"


STATUS_OF: Final[Mapping[Decision, ApprovalStatus]] = {
    Decision.APPROVE: ApprovalStatus.APPROVED,
    Decision.REJECT: ApprovalStatus.REJECTED,
}
"""The status of an approval after each decision."""
