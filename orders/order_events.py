"""What happened to orders, from the log of their moves, the journal and the events.

In codes alone: neither who asked for something nor what a bank or an error said comes this far.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from events.services import events_about
from orders.models import Order, moves_of
from sagas.history import AttemptSummary, compensation_requests, last_attempts


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened, and when: ``what`` is a stable code, as ``kind`` is."""

    at: datetime
    kind: str  # "order", "step" or "event"
    what: str
    attempt: int = 0  # which one it was, of a step
    cause: str = ""  # why an order is to be cancelled


def recent_stories(orders: Sequence[Order], most_attempts: int) -> Mapping[UUID, list[Entry]]:
    """Return everything but old attempts of each order, oldest first, in four statements."""
    ids = [each.pk for each in orders]
    moves, wishes, events = moves_of(ids), compensation_requests(ids), events_about(ids)
    attempts = last_attempts(ids, most_attempts)
    stories: dict[UUID, list[Entry]] = {}
    for order in orders:
        entries = [
            Entry(order.created_at, "order", "placed"),
            *(
                Entry(each.at, "order", "cancellation_requested", cause=each.reason)
                for each in wishes.get(order.pk, ())
            ),
            *(Entry(each.at, "order", each.target) for each in moves.get(order.pk, ())),
            *_tried(attempts.get(order.pk, ())),
            *(Entry(each.recorded_at, "event", each.name) for each in events.get(order.pk, ())),
        ]
        stories[order.pk] = sorted(entries, key=lambda entry: entry.at)
    return stories


def _tried(attempts: Iterable[AttemptSummary]) -> Iterator[Entry]:
    for each in attempts:
        if each.ended_at != each.started_at:  # a call, which takes its time
            yield Entry(each.started_at, "step", f"{each.name}.started", attempt=each.number)
        if each.ended_at is not None:
            what = f"{each.name}.{each.outcome}"
            yield Entry(each.ended_at, "step", what, attempt=each.number)
