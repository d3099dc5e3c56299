"""Ids that sort by the time they were made."""

from uuid import UUID

import uuid_utils.compat


def new_id() -> UUID:
    """Return a fresh UUIDv7 (RFC 9562): unguessable enough to show, and kind to indexes."""
    return uuid_utils.compat.uuid7()
