"""Everything that happened to one order, from the log of its moves, the journal and the facts."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from events.services import facts_about
from orders.models import Order
from sagas.services import attempts_for


def timeline(order: Order) -> list[dict[str, Any]]:
    """Return the entries, oldest first: when, what kind of thing, what, and details."""
    entries = [*_moves(order), *_attempts(order), *_facts(order)]
    entries.sort(key=lambda entry: entry[0])
    return [
        {"at": at.isoformat(), "kind": kind, "what": what, "detail": detail}
        for at, kind, what, detail in entries
    ]


Entry = tuple[datetime, str, str, str]


def _moves(order: Order) -> Iterator[Entry]:
    yield order.created_at, "order", "placed", f"{order.total_minor} {order.currency}"
    for each in order.transitions.all():
        by = f", asked by {each.actor}" if each.actor else ""
        yield each.at, "order", each.target, f"{each.cause}{by}"


def _attempts(order: Order) -> Iterator[Entry]:
    for attempt in attempts_for(order.pk):
        what = f"{attempt.name}: {attempt.outcome}"
        told = " ".join(filter(None, (attempt.error, attempt.detail)))
        tries = f"attempt {attempt.number}" if attempt.number > 1 else ""
        yield (
            attempt.ended_at or attempt.started_at,
            "step",
            what,
            " ".join(filter(None, (tries, told))),
        )


def _facts(order: Order) -> Iterator[Entry]:
    for fact in facts_about(order.pk):
        yield fact.recorded_at, "fact", fact.name, ""
