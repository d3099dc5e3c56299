"""One order's timeline for its customer: stable codes, and a sentence for each.

It does not name staff. It leaves out what an issuer or an error said, because the holder of a stolen
card could learn from it.
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
    EventRecorded,
    OrderEvent,
    Placed,
    StatusChanged,
    recent_events,
)
from sagas.queries.attempts import AttemptView
from sagas.work import Remote

MAX_ATTEMPTS: Final = 100
"""A timeline shows this many of an order's last attempts. Its other events are few."""

Kind = Literal["order", "step", "payment", "stock"]


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """One event of an order, as its customer reads it."""

    at: datetime
    kind: Kind
    code: str
    message: str
    attempt: int | None = None  # the number of a step's attempt


_EVENT_TEXTS: Final[Mapping[str, tuple[Kind, str, str]]] = {
    "confirmed": ("order", "confirmed", "Your order is confirmed."),
    "cancelling": ("order", "cancelling", "Your order is being cancelled."),
    "cancelled": (
        "order",
        "cancelled",
        "Your order is cancelled. No items are reserved, and no money is held or taken.",
    ),
    "order.confirmation_withdrawn": (
        "order",
        "confirmation_withdrawn",
        "The confirmation was withdrawn.",
    ),
    "payment.authorized": ("payment", "authorized", "Your bank has reserved the money."),
    "payment.captured": ("payment", "captured", "The payment has been taken."),
    "payment.voided": ("payment", "voided", "Your bank has released the money."),
    "payment.refunded": ("payment", "refunded", "The money has been returned to you."),
    "stock.reserved": ("stock", "reserved", "Your items are reserved."),
    "stock.released": ("stock", "released", "Your items are no longer reserved."),
}

_OUTCOMES: Final = {
    "started": "started.",
    "done": "done.",
    "rejected": "refused.",
    "pending": "accepted; we are waiting for the answer.",
    "proceeded": "no answer; your order goes on without it.",
    "transient": "not possible yet; we will try again.",
    "unknown": "no clear answer; we are finding out what happened.",
    "lost": "interrupted; we will try again.",
    "failed": "delayed; we will try again.",
    "interrupted": "no longer awaited.",
}


_UNKNOWN_STEP: Final = "A further step"
"""For a step that this version of the code does not have."""


def customer_timelines(orders: Sequence[Order]) -> Mapping[UUID, list[TimelineEvent]]:
    """Return the timeline of each order, oldest first, in four statements for all of them."""
    events = recent_events(orders, MAX_ATTEMPTS)
    return {order_id: list(_rendered(events[order_id])) for order_id in events}


def _rendered(events: Sequence[OrderEvent]) -> Iterator[TimelineEvent]:
    for event in events:
        match event:
            case Placed(at):
                yield TimelineEvent(at, "order", "placed", "You placed this order.")
            case CancelRequested(at, reason):
                yield TimelineEvent(
                    at, "order", "cancellation_requested", _cancel_request_text(reason)
                )
            case CallStarted(at, attempt):
                yield _step(at, attempt, "started")
            case AttemptEnded(at, attempt):
                yield _step(at, attempt, attempt.outcome)
            case StatusChanged(at, target=code) | EventRecorded(at, name=code):
                # An event such as order.confirmed repeats a transition, and has no text here.
                if code in _EVENT_TEXTS:
                    yield TimelineEvent(at, *_EVENT_TEXTS[code])


def _step(at: datetime, attempt: AttemptView, outcome: str) -> TimelineEvent:
    name = attempt.work.describe.customer if attempt.work else _UNKNOWN_STEP
    code = f"{attempt.name}.{outcome}"
    text = _pending_text(attempt) if outcome == "pending" else _OUTCOMES[outcome]
    return TimelineEvent(at, "step", code, f"{name}: {text}", attempt.number)


def _pending_text(attempt: AttemptView) -> str:
    """Return what an attempt waits for whose answer comes later."""
    known = attempt.work.pending_by_code if isinstance(attempt.work, Remote) else {}
    if attempt.error not in known:
        return _OUTCOMES["pending"]
    return f"waiting for {known[attempt.error].waits_for.customer}."


def _cancel_request_text(reason: str) -> str:
    who = "You" if reason == "cancelled_by_customer" else "The shop"
    return f"{who} asked to cancel this order."
