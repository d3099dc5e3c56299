"""The timeline of an order: its transitions, the attempts of its runs, and the published events.

``orders.customer_timeline`` renders it for customers, ``desk.audit_timeline`` for staff.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from events.services import events_about
from orders.models import Order, OrderTransition, transitions_of
from sagas.queries.attempts import AttemptView, last_attempts
from sagas.queries.subjects import compensation_requests


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
class StatusChanged:
    """The order changed its status."""

    at: datetime
    source: str
    target: str
    cause: str
    actor: str


@dataclass(frozen=True, slots=True)
class CallStarted:
    """An attempt called another system."""

    at: datetime
    attempt: AttemptView


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """An attempt at a step or a compensation ended."""

    at: datetime
    attempt: AttemptView


@dataclass(frozen=True, slots=True)
class EventRecorded:
    """An app recorded an event about the order for subscribers."""

    at: datetime
    name: str


OrderEvent = Placed | CancelRequested | StatusChanged | CallStarted | AttemptEnded | EventRecorded


def recent_events(orders: Sequence[Order], max_attempts: int) -> Mapping[UUID, list[OrderEvent]]:
    """Return the events of each order, oldest first, in four statements for all of them.

    They include only the last ``max_attempts`` attempts of each order.
    """
    ids = [order.pk for order in orders]
    transitions, requests, published = (
        transitions_of(ids),
        compensation_requests(ids),
        events_about(ids),
    )
    attempts = last_attempts(ids, max_attempts)
    return {
        order.pk: merge_events(
            order,
            transitions=transitions.get(order.pk, ()),
            requests=[
                CancelRequested(request.at, request.reason, actor=request.actor)
                for request in requests.get(order.pk, ())
            ],
            attempts=attempts.get(order.pk, ()),
            published=[
                EventRecorded(event.recorded_at, event.name)
                for event in published.get(order.pk, ())
            ],
        )
        for order in orders
    }


def merge_events(
    order: Order,
    *,
    transitions: Iterable[OrderTransition],
    requests: Iterable[CancelRequested],
    attempts: Iterable[AttemptView],
    published: Iterable[EventRecorded],
) -> list[OrderEvent]:
    """Return the timeline of one order, oldest first, from its rows."""
    events: list[OrderEvent] = [
        Placed(order.created_at),
        *requests,
        *(
            StatusChanged(
                transition.at,
                transition.source,
                transition.target,
                transition.cause,
                transition.actor,
            )
            for transition in transitions
        ),
        *(event for attempt in attempts for event in _events_of_attempt(attempt)),
        *published,
    ]
    return sorted(events, key=lambda event: event.at)


def _events_of_attempt(attempt: AttemptView) -> Iterator[OrderEvent]:
    if attempt.is_call:
        yield CallStarted(attempt.started_at, attempt)
    if attempt.ended_at is not None:
        yield AttemptEnded(attempt.ended_at, attempt)
