"""What a person at the desk may be allowed to do with orders, beyond looking at them."""

from collections.abc import Mapping
from typing import Final, TypeAlias

from django.contrib.auth.models import User

from access.os_user import ShellUser
from desk.models import ActionKind

Operator: TypeAlias = User | ShellUser
"""Who acts on orders: an account at the desk, or whoever has a shell on one of our hosts."""

RETRY: Final = "desk.retry_order"
CANCEL: Final = "desk.cancel_order"
PAUSE: Final = "desk.pause_order"
"""Holding an order, and releasing one that a person holds."""
RESUME_UNRESOLVED: Final = "desk.resume_unresolved_order"
"""Releasing an order that an invariant paused: its money is in doubt."""
NOTE: Final = "desk.note_order"
EXPORT: Final = "desk.export_orders"
ACT_IN_BULK: Final = "desk.act_in_bulk"
"""Doing to many orders what one may do to each."""

ALL: Final = (RETRY, CANCEL, PAUSE, RESUME_UNRESOLVED, NOTE, EXPORT, ACT_IN_BULK)

OF_KIND: Final[Mapping[ActionKind, str]] = {
    ActionKind.RETRY: RETRY,
    ActionKind.CANCEL: CANCEL,
    ActionKind.PAUSE: PAUSE,
    ActionKind.RESUME: PAUSE,
    ActionKind.NOTE: NOTE,
    ActionKind.EXPORT: EXPORT,
}
"""What each act takes; releasing takes RESUME_UNRESOLVED where an invariant paused the order."""
