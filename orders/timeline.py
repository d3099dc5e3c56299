"""Everything that happened to orders, from the log of their moves, the journal and the facts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from events.services import facts_about
from orders.models import Order, moves_of
from sagas.history import AttemptMade, last_attempts, wishes_to_turn_back


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened, and when: ``what`` is a stable code, as ``kind`` is."""

    at: datetime
    kind: str  # "order", "step" or "fact"
    what: str
    detail: str = ""  # for staff too: it may name one of them
    for_staff: str = ""  # what a bank or an error said, in their words
    attempt: int = 0  # which one it was, of a step
    cause: str = ""  # why an order moved, or is to be cancelled


def recent_stories(orders: Sequence[Order], most_attempts: int) -> Mapping[UUID, list[Entry]]:
    """Return everything but old attempts of each order, oldest first, in four statements."""
    return _stories(orders, last_attempts([each.pk for each in orders], most_attempts))


def _stories(
    orders: Sequence[Order], attempts: Mapping[UUID, Sequence[AttemptMade]]
) -> Mapping[UUID, list[Entry]]:
    ids = [each.pk for each in orders]
    moves, wishes, facts = moves_of(ids), wishes_to_turn_back(ids), facts_about(ids)
    stories: dict[UUID, list[Entry]] = {}
    for order in orders:
        entries = [_placed(order)]
        for wish in wishes.get(order.pk, ()):
            asked = f"asked by {wish.actor}"
            entries.append(
                Entry(wish.at, "order", "cancellation_requested", asked, cause=wish.reason)
            )
        for each in moves.get(order.pk, ()):
            by = f", asked by {each.actor}" if each.actor else ""
            entries.append(
                Entry(each.at, "order", each.target, f"{each.cause}{by}", cause=each.cause)
            )
        entries += _tried(attempts.get(order.pk, ()))
        entries += [Entry(each.recorded_at, "fact", each.name) for each in facts.get(order.pk, ())]
        stories[order.pk] = sorted(entries, key=lambda entry: entry.at)
    return stories


def _placed(order: Order) -> Entry:
    total = f"{order.total_minor} {order.currency} in minor units"
    return Entry(order.created_at, "order", "placed", total)


def _tried(attempts: Iterable[AttemptMade]) -> Iterator[Entry]:
    for attempt in attempts:
        number = attempt.number
        if attempt.ended_at != attempt.started_at:  # a call, which takes its time
            yield Entry(attempt.started_at, "step", f"{attempt.name}.started", attempt=number)
        if attempt.ended_at is None:
            continue
        yield Entry(
            attempt.ended_at,
            "step",
            f"{attempt.name}.{attempt.outcome}",
            detail=f"attempt {number}" if number > 1 else "",
            for_staff=" ".join(filter(None, (attempt.error, attempt.detail))),
            attempt=number,
        )
