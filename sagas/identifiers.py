"""Ids that sort by the time of their creation."""

from datetime import datetime
from uuid import UUID

import uuid_utils.compat


def new_id() -> UUID:
    """Return a fresh UUIDv7 (RFC 9562): hard to guess, and stored in order by an index."""
    return uuid_utils.compat.uuid7()


def first_id_at(moment: datetime) -> UUID:
    """Return the smallest id that can be created at ``moment``, by the creating process's clock.

    A UUIDv7 begins with 48 bits of milliseconds since 1970 (RFC 9562, 5.7).
    """
    milliseconds = min(max(int(moment.timestamp() * 1000), 0), (1 << 48) - 1)
    return UUID(int=milliseconds << 80)
