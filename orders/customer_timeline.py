"""One order's timeline for its customer: stable codes, and a sentence for each.

Staff are not named. What an issuer or an error said is left out: the holder of a stolen card would
learn from it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from orders.models import Order
from orders.order_events import (
    AttemptEnded,
    CallStarted,
    CancelRequested,
    Moved,
    OrderEvent,
    Placed,
    Published,
    recent_events,
)
from sagas.queries.attempts import AttemptView

MOST_ATTEMPTS: Final = 100
"""Shown of one order, the last ones. Its other events are few."""

Kind = Literal["order", "step", "payment", "stock"]


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """One event of an order, as its customer reads it."""

    at: datetime
    kind: Kind
    code: str
    message: str
    attempt: int | None = None  # the number of a step's attempt


_HAPPENED: Final[Mapping[str, tuple[Kind, str, str]]] = {
    "confirmed": ("order", "confirmed", "Your order is confirmed."),
    "cancelling": ("order", "cancelling", "What was done for your order is being undone."),
    "cancelled": ("order", "cancelled", "Your order is cancelled: nothing of it is held or taken."),
    "order.confirmation_withdrawn": (
        "order",
        "confirmation_withdrawn",
        "The confirmation no longer holds.",
    ),
    "payment.authorized": ("payment", "authorized", "Your bank has set the money aside."),
    "payment.captured": ("payment", "captured", "The money has been taken."),
    "payment.voided": ("payment", "voided", "Your bank no longer sets any money aside."),
    "payment.refunded": ("payment", "refunded", "The money has gone back to you."),
    "stock.reserved": ("stock", "reserved", "Your items are held for you."),
    "stock.released": ("stock", "released", "Your items are back on the shelf."),
}

_OUTCOMES: Final = {
    "started": "begun.",
    "done": "done.",
    "rejected": "refused.",
    "proceeded": "no answer; your order goes on without it.",
    "transient": "not possible yet; it will be tried again.",
    "unknown": "no clear answer; it will be found out.",
    "lost": "interrupted; it will be taken up again.",
    "failed": "held up; it will be tried again.",
}


_UNKNOWN_STEP: Final = "A further step"
"""A step of another version of the code."""


def customer_timelines(orders: Sequence[Order]) -> Mapping[UUID, list[TimelineEvent]]:
    """Return the timeline of each order, oldest first, in four statements for all of them."""
    events = recent_events(orders, MOST_ATTEMPTS)
    return {order_id: list(_rendered(events[order_id])) for order_id in events}


def _rendered(events: Sequence[OrderEvent]) -> Iterator[TimelineEvent]:
    for event in events:
        match event:
            case Placed(at):
                yield TimelineEvent(at, "order", "placed", "You placed this order.")
            case CancelRequested(at, reason):
                yield TimelineEvent(at, "order", "cancellation_requested", _who_asked(reason))
            case CallStarted(at, attempt):
                yield _step(at, attempt, "started")
            case AttemptEnded(at, attempt):
                yield _step(at, attempt, attempt.outcome)
            case Moved(at, target=code) | Published(at, name=code):
                # The events that an order published of itself repeat its moves.
                if code in _HAPPENED:
                    yield TimelineEvent(at, *_HAPPENED[code])


def _step(at: datetime, attempt: AttemptView, outcome: str) -> TimelineEvent:
    name = attempt.work.describe.customer if attempt.work else _UNKNOWN_STEP
    code = f"{attempt.name}.{outcome}"
    return TimelineEvent(at, "step", code, f"{name}: {_OUTCOMES[outcome]}", attempt.number)


def _who_asked(reason: str) -> str:
    who = "You" if reason == "cancelled_by_customer" else "The shop"
    return f"{who} asked to cancel this order."
