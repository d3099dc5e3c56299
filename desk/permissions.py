"""What a person at the desk may be allowed to do with orders, beyond looking at them."""

from collections.abc import Mapping
from typing import Final, TypeAlias

from django.contrib.auth.models import User

from access.shell import ShellUser
from desk.models import ActionKind

Operator: TypeAlias = User | ShellUser
"""Who acts on orders: an account at the desk, or whoever has a shell on one of our hosts."""

RETRY: Final = "desk.retry_order"
CANCEL: Final = "desk.cancel_order"
HOLD: Final = "desk.hold_order"
"""Holding an order, and releasing one that a person holds."""
RELEASE_FROZEN: Final = "desk.release_frozen_order"
"""Releasing an order that an invariant froze: its money is in doubt."""
NOTE: Final = "desk.note_order"
EXPORT: Final = "desk.export_orders"
ACT_IN_BULK: Final = "desk.act_in_bulk"
"""Doing to many orders what one may do to each."""

ALL: Final = (RETRY, CANCEL, HOLD, RELEASE_FROZEN, NOTE, EXPORT, ACT_IN_BULK)

OF_KIND: Final[Mapping[ActionKind, str]] = {
    ActionKind.RETRY: RETRY,
    ActionKind.CANCEL: CANCEL,
    ActionKind.HOLD: HOLD,
    ActionKind.RELEASE: HOLD,
    ActionKind.NOTE: NOTE,
    ActionKind.EXPORT: EXPORT,
}
"""What each act takes; releasing takes RELEASE_FROZEN where an invariant froze the order."""
