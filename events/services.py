"""Recording facts: the only writer of the outbox."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from django.db import connection

from events.facts import Fact
from events.models import OutboxEvent
from sagas.row_sets import Insert, write


class NotInTransaction(Exception):
    """A fact was about to be recorded apart from what makes it true."""


def record(facts: Iterable[Fact]) -> None:
    """Record ``facts`` in the caller's transaction: they are told if and only if it commits.

    Raises NotInTransaction when there is none.
    """
    write(outbox(facts))


def outbox(facts: Iterable[Fact]) -> Insert:
    """Return what ``record`` would write, for a statement that writes more.

    Raises NotInTransaction when there is none.
    """
    if not connection.in_atomic_block:
        raise NotInTransaction
    return Insert(
        [
            OutboxEvent(
                name=fact.type.name,
                version=fact.type.version,
                key=fact.key,
                correlation_id=fact.correlation_id,
                payload=dict(fact.payload),
            )
            for fact in facts
        ]
    )


def count_unrelayed(limit: int = 100_000) -> int:
    """Return how many facts the world has not been told, counting up to ``limit``."""
    return OutboxEvent.objects.filter(relayed_at__isnull=True)[:limit].count()


def facts_about(keys: Sequence[UUID]) -> Mapping[UUID, list[OutboxEvent]]:
    """Return what was recorded about each of ``keys``, oldest first."""
    found: defaultdict[UUID, list[OutboxEvent]] = defaultdict(list)
    for each in OutboxEvent.objects.filter(key__in=keys).order_by("id"):
        found[each.key].append(each)
    return found
