"""The events of approvals, with their fields. They quote neither the question nor a comment."""

from events.event_types import EventType

APPROVAL_OPENED = EventType(
    "approval.opened", 1, frozenset({"approval_id", "name", "deadline", "default"})
)
APPROVAL_EXTENDED = EventType(
    "approval.extended", 1, frozenset({"approval_id", "name", "deadline", "actor"})
)
APPROVAL_DECIDED = EventType(
    "approval.decided", 1, frozenset({"approval_id", "name", "status", "via"})
)
