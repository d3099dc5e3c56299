"""Everything that happened to one order, from the log of its moves, the journal and the facts."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from events.services import facts_about
from orders.models import Order
from sagas.history import attempts_for, wishes_to_turn_back


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened, and when."""

    at: datetime
    kind: str
    what: str
    detail: str = ""
    for_staff: str = ""  # what a bank or an error said, in their words


def full_story(order: Order) -> list[Entry]:
    """Return everything, oldest first; for the desk."""
    entries = [*_moves(order), *_attempts(order), *_facts(order)]
    return sorted(entries, key=lambda entry: entry.at)


def timeline(order: Order) -> list[dict[str, Any]]:
    """Return what the order's customer may see of it.

    What a bank says about a card is left out: whoever holds a stolen one would learn from it.
    """
    return [
        {"at": each.at.isoformat(), "kind": each.kind, "what": each.what, "detail": each.detail}
        for each in full_story(order)
    ]


def _moves(order: Order) -> Iterator[Entry]:
    total = f"{order.total_minor} {order.currency} in minor units"
    yield Entry(order.created_at, "order", "placed", total)
    for wish in wishes_to_turn_back(order.pk):
        yield Entry(wish.at, "order", "cancel asked for", f"asked by {wish.actor}")
    for each in order.transitions.all():
        by = f", asked by {each.actor}" if each.actor else ""
        yield Entry(each.at, "order", each.target, f"{each.cause}{by}")


def _attempts(order: Order) -> Iterator[Entry]:
    for attempt in attempts_for(order.pk):
        if attempt.ended_at != attempt.started_at:  # a call, which takes its time
            yield Entry(attempt.started_at, "step", f"{attempt.name}: started")
        if attempt.ended_at is None:
            continue
        yield Entry(
            attempt.ended_at,
            "step",
            f"{attempt.name}: {attempt.outcome}",
            detail=f"attempt {attempt.number}" if attempt.number > 1 else "",
            for_staff=" ".join(filter(None, (attempt.error, attempt.detail))),
        )


def _facts(order: Order) -> Iterator[Entry]:
    for fact in facts_about(order.pk):
        yield Entry(fact.recorded_at, "fact", fact.name)
