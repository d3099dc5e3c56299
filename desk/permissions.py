"""The permissions to act on orders and their waits, and to decide approvals."""

from collections.abc import Mapping
from typing import Final, TypeAlias

from django.contrib.auth.models import User

from access.os_user import ShellUser
from desk.models import ActionKind

Operator: TypeAlias = User | ShellUser
"""An actor on orders: an account at the desk, or a user of a shell on one of our hosts."""

RETRY: Final = "desk.retry_order"
CANCEL: Final = "desk.cancel_order"
PAUSE: Final = "desk.pause_order"
"""Allows pausing an order, and resuming one that staff paused."""
RESUME_UNRESOLVED: Final = "desk.resume_unresolved_order"
"""Allows resuming an order that an invariant paused: its money is in doubt."""
NOTE: Final = "desk.note_order"
EXPORT: Final = "desk.export_orders"
DECIDE: Final = "desk.decide_approval"
EXTEND: Final = "desk.extend_wait"
SIGNAL: Final = "desk.send_signal"
ACT_IN_BULK: Final = "desk.act_in_bulk"
"""Allows bulk actions, with the actions that the operator may execute on one order."""

ALL: Final = (
    RETRY,
    CANCEL,
    PAUSE,
    RESUME_UNRESOLVED,
    NOTE,
    EXPORT,
    DECIDE,
    EXTEND,
    SIGNAL,
    ACT_IN_BULK,
)

PERMISSION_OF: Final[Mapping[ActionKind, str]] = {
    ActionKind.RETRY: RETRY,
    ActionKind.CANCEL: CANCEL,
    ActionKind.PAUSE: PAUSE,
    ActionKind.RESUME: PAUSE,
    ActionKind.NOTE: NOTE,
    ActionKind.EXPORT: EXPORT,
    ActionKind.APPROVE: DECIDE,
    ActionKind.REJECT: DECIDE,
    ActionKind.EXTEND: EXTEND,
    ActionKind.SIGNAL: SIGNAL,
}
"""The permission of each action. Resuming needs RESUME_UNRESOLVED if an invariant paused the order."""
