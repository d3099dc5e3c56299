"""The events of orders: one timeline, from their moves, their runs' journal, and what was published.

``orders.customer_timeline`` renders it for customers, ``desk.audit_timeline`` for staff.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from events.services import events_about
from orders.models import Order, OrderTransition, moves_of
from sagas import registry
from sagas.definition import Remote, Work
from sagas.history import AttemptSummary, compensation_requests, last_attempts


@dataclass(frozen=True, slots=True)
class Placed:
    """The customer placed the order."""

    at: datetime


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """A person asked to cancel the order while its run was live."""

    at: datetime
    reason: str
    detail: str = ""
    actor: str = ""


@dataclass(frozen=True, slots=True)
class Moved:
    """The order changed its status."""

    at: datetime
    source: str
    target: str
    cause: str
    actor: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a step or a compensation, as the journal has it, under its own name."""

    name: str
    number: int
    outcome: str
    started_at: datetime
    ended_at: datetime | None
    error: str = ""
    detail: str = ""
    output: Mapping[str, Any] = field(default_factory=dict)
    is_compensating: bool = False
    row_id: int = 0
    """Of its row in the journal; 0 if the reader has no use for it."""

    @property
    def work(self) -> Work | None:
        """Its definition; None if this code does not have it (any more)."""
        return registry.find_work(self.name)

    @property
    def system(self) -> str:
        """The system that it called; empty for a local one and for one that this code lacks."""
        return self.work.system if isinstance(self.work, Remote) else ""

    @property
    def is_call(self) -> bool:
        """Whether it called a system; for an unknown step, whether it took time."""
        if self.work is None:
            return self.ended_at != self.started_at
        return isinstance(self.work, Remote)


@dataclass(frozen=True, slots=True)
class CallStarted:
    """An attempt called another system."""

    at: datetime
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """An attempt at a step or a compensation ended."""

    at: datetime
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Published:
    """An app recorded an event about the order for subscribers."""

    at: datetime
    name: str


OrderEvent = Placed | CancelRequested | Moved | CallStarted | AttemptEnded | Published


def recent_events(orders: Sequence[Order], max_attempts: int) -> Mapping[UUID, list[OrderEvent]]:
    """Return the events of each order, oldest first, in four statements for all of them.

    Of the attempts only the last ``max_attempts`` of each order are among them.
    """
    ids = [order.pk for order in orders]
    moves, requests, published = moves_of(ids), compensation_requests(ids), events_about(ids)
    attempts = last_attempts(ids, max_attempts)
    return {
        order.pk: merged(
            order,
            moves=moves.get(order.pk, ()),
            requests=[
                CancelRequested(request.at, request.reason, actor=request.actor)
                for request in requests.get(order.pk, ())
            ],
            attempts=map(_attempt, attempts.get(order.pk, ())),
            published=[
                Published(event.recorded_at, event.name) for event in published.get(order.pk, ())
            ],
        )
        for order in orders
    }


def merged(
    order: Order,
    *,
    moves: Iterable[OrderTransition],
    requests: Iterable[CancelRequested],
    attempts: Iterable[Attempt],
    published: Iterable[Published],
) -> list[OrderEvent]:
    """Return the timeline of one order, oldest first, from what was read about it."""
    events: list[OrderEvent] = [
        Placed(order.created_at),
        *requests,
        *(Moved(move.at, move.source, move.target, move.cause, move.actor) for move in moves),
        *(event for attempt in attempts for event in _attempted(attempt)),
        *published,
    ]
    return sorted(events, key=lambda event: event.at)


def _attempted(attempt: Attempt) -> Iterator[OrderEvent]:
    if attempt.is_call:
        yield CallStarted(attempt.started_at, attempt)
    if attempt.ended_at is not None:
        yield AttemptEnded(attempt.ended_at, attempt)


def _attempt(summary: AttemptSummary) -> Attempt:
    return Attempt(
        name=summary.name,
        number=summary.number,
        outcome=summary.outcome,
        started_at=summary.started_at,
        ended_at=summary.ended_at,
    )
