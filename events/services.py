"""Recording events: the only writer of the outbox."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from django.db import connection

from events.event_types import Event
from events.models import OutboxEvent
from sagas.bulk_sql import Insert, write


class NotInTransaction(Exception):
    """A event was about to be recorded apart from what makes it true."""


def record(events: Iterable[Event]) -> None:
    """Record ``events`` in the caller's transaction: they are told if and only if it commits.

    Raises NotInTransaction when there is none.
    """
    write(outbox(events))


def outbox(events: Iterable[Event]) -> Insert:
    """Return what ``record`` would write, for a statement that writes more.

    Raises NotInTransaction when there is none.
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
                payload=dict(event.payload),
            )
            for event in events
        ]
    )


def count_unrelayed(limit: int = 100_000) -> int:
    """Return how many events the world has not been told, counting up to ``limit``."""
    return OutboxEvent.objects.filter(relayed_at__isnull=True)[:limit].count()


def events_about(keys: Sequence[UUID]) -> Mapping[UUID, list[OutboxEvent]]:
    """Return what was recorded about each of ``keys``, oldest first."""
    found: defaultdict[UUID, list[OutboxEvent]] = defaultdict(list)
    for each in OutboxEvent.objects.filter(key__in=keys).order_by("id"):
        found[each.key].append(each)
    return found
