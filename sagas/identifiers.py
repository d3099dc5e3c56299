"""Ids that sort by the time they were made."""

from datetime import datetime
from uuid import UUID

import uuid_utils.compat


def new_id() -> UUID:
    """Return a fresh UUIDv7 (RFC 9562): unguessable enough to show, and kind to indexes."""
    return uuid_utils.compat.uuid7()


def first_id_at(moment: datetime) -> UUID:
    """Return what no id sorts before that was made at ``moment`` or later, by its maker's clock.

    A UUIDv7 begins with 48 bits of milliseconds since 1970 (RFC 9562, 5.7).
    """
    milliseconds = min(max(int(moment.timestamp() * 1000), 0), (1 << 48) - 1)
    return UUID(int=milliseconds << 80)
