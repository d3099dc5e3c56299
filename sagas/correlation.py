"""The id that joins a request, the runs that it started, their events, and every line about them."""

from uuid import UUID

from structlog.contextvars import get_contextvars

from sagas.identifiers import new_id


def current_correlation_id() -> UUID:
    """Return the id of what this thread works on; a fresh one where that is nothing in particular."""
    bound = get_contextvars().get("correlation_id")
    return UUID(str(bound)) if bound else new_id()
