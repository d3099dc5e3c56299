"""What an order's customer may read of its story: stable codes, and a sentence for each.

Nobody of the staff is named. What a bank or an error said is left out: whoever holds a stolen card
would learn from it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from orders.models import Order
from orders.order_events import Entry, recent_stories

MOST_ATTEMPTS: Final = 100
"""Of one order's attempts, the last ones; whatever else happens to an order is few."""

Kind = Literal["order", "step", "payment", "stock"]


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """One thing that happened to an order, as its customer is told."""

    at: datetime
    kind: Kind
    what: str
    words: str
    attempt: int | None = None  # which one it was, of a step


_HAPPENED: Final[Mapping[str, tuple[Kind, str, str]]] = {
    "placed": ("order", "placed", "You placed this order."),
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

_STEPS: Final = {
    "reserve_stock": "Holding your items",
    "release_stock": "Putting your items back on the shelf",
    "authorize_payment": "Asking your bank to set the money aside",
    "void_authorization": "Asking your bank to let the money go",
    "confirm_order": "Confirming your order",
    "withdraw_confirmation": "Withdrawing the confirmation",
    "capture_payment": "Taking the money",
    "refund_payment": "Giving the money back",
    "return_payment": "Giving the money back",
    "restock": "Putting your items back on the shelf",
    "finish_cancelling": "Finishing the cancellation",
}

_OUTCOMES: Final = {
    "started": "begun.",
    "done": "done.",
    "rejected": "refused.",
    "transient": "not possible yet; it will be tried again.",
    "unknown": "no clear answer; it will be found out.",
    "lost": "interrupted; it will be taken up again.",
    "failed": "held up; it will be tried again.",
}


def customer_timelines(orders: Sequence[Order]) -> Mapping[UUID, list[TimelineEvent]]:
    """Return what happened to each order, oldest first, in four statements for all of them."""
    stories = recent_stories(orders, MOST_ATTEMPTS)
    return {order_id: list(_told(story)) for order_id, story in stories.items()}


def _told(story: Sequence[Entry]) -> Iterator[TimelineEvent]:
    for entry in story:
        if entry.kind == "step":
            step, _, outcome = entry.what.rpartition(".")
            words = f"{_STEPS.get(step, 'A further step')}: {_OUTCOMES[outcome]}"
            yield TimelineEvent(entry.at, "step", entry.what, words, entry.attempt)
        elif entry.what == "cancellation_requested":
            yield TimelineEvent(entry.at, "order", entry.what, _who_asked(entry.cause))
        # The events that an order moved repeat its moves.
        elif known := _HAPPENED.get(entry.what):
            yield TimelineEvent(entry.at, *known)


def _who_asked(reason: str) -> str:
    who = "You" if reason == "cancelled_by_customer" else "The shop"
    return f"{who} asked to cancel this order."
