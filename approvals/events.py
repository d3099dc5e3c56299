"""The events of approvals."""

from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, Field

from approvals.states import ApprovalStatus, DecidedVia, DefaultAction
from events.event_types import Payload


class ApprovalData(Payload):
    """What all events of approvals carry."""

    approval_id: UUID
    name: Annotated[str, Field(description="What is to be decided, such as `order_review`.")]


class ApprovalOpened(ApprovalData, name="approval.opened", version=1):
    """A person is to decide something about the order."""

    deadline: AwareDatetime
    default: Annotated[
        DefaultAction, Field(description="What happens without a decision before the deadline.")
    ]


class ApprovalExtended(ApprovalData, name="approval.extended", version=1):
    """The deadline of an open approval was moved."""

    deadline: AwareDatetime
    actor: Annotated[str, Field(description="The name of the account that moved it.")]


class ApprovalDecided(ApprovalData, name="approval.decided", version=1):
    """An approval was decided, or expired without a decision. Final."""

    status: ApprovalStatus
    via: DecidedVia
