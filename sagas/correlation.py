"""The correlation id: one for a request, the runs that it starts, their events and log lines."""

from uuid import UUID

from structlog.contextvars import get_contextvars

from sagas.identifiers import new_id


def current_correlation_id() -> UUID:
    """Return the correlation id of this thread's log context; a fresh one if it has none."""
    bound = get_contextvars().get("correlation_id")
    return UUID(str(bound)) if bound else new_id()
