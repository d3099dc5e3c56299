"""Recording events: the only writer of the outbox."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from django.db import connection

from bulk_sql.statements import Insert, write
from events.event_types import Event
from events.models import OutboxEvent


class NotInTransaction(Exception):
    """An event was about to be recorded outside a transaction."""


def record(events: Iterable[Event]) -> None:
    """Record ``events`` in the caller's transaction: they exist if and only if it commits.

    Raises NotInTransaction outside a transaction.
    """
    write(outbox(events))


def outbox(events: Iterable[Event]) -> Insert:
    """Return the insert that ``record`` would make, to be written together with other changes.

    Raises NotInTransaction outside a transaction.
    """
    if not connection.in_atomic_block:
        raise NotInTransaction
    return Insert(
        [
            OutboxEvent(
                name=event.type.name,
                version=event.type.version,
                key=event.key,
                correlation_id=event.correlation_id,
                payload=event.payload.model_dump(mode="json"),
            )
            for event in events
        ]
    )


def events_about(keys: Sequence[UUID]) -> Mapping[UUID, list[OutboxEvent]]:
    """Return the events of each of ``keys``, oldest first."""
    found: defaultdict[UUID, list[OutboxEvent]] = defaultdict(list)
    for event in OutboxEvent.objects.filter(key__in=keys).order_by("id"):
        found[event.key].append(event)
    return found
