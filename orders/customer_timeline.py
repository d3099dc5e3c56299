"""One order's timeline for its customer: stable codes, and a sentence for each.

It does not name staff. It leaves out what an issuer or an error said, because the holder of a stolen
card could learn from it.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal, NamedTuple
from uuid import UUID

from orders.customer_waits import PAYABLE_WAITS, SHOP
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
from payments.decline_messages import decline_for_customer
from payments.errors import AnotherPaymentNeeded
from payments.history import PaymentRecord
from sagas.descriptions import WaitText
from sagas.queries.attempts import AttemptView
from sagas.queries.definitions import find_work
from sagas.work import Reject, Remote, Wait, Work

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
    until: datetime | None = None  # the deadline of a wait that has not ended


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
    "payment.voided": ("payment", "voided", "The payment is cancelled: no money is held."),
    "payment.refunded": ("payment", "refunded", "The money has been returned to you."),
    "stock.reserved": ("stock", "reserved", "Your items are reserved."),
    "stock.released": ("stock", "released", "Your items are no longer reserved."),
}

_NOT_RETURNED: Final = "Your money could not be returned yet: the shop is looking into it."
"""However often the call is repeated: its errors are matters for staff, such as a failed refund."""

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

_ENDS: Final = ("done", "rejected", "proceeded", "interrupted")
"""The outcomes after which a step is not attempted again."""

_OVERDUE: Final = "overdue"
"""The outcome, in codes, of a wait whose deadline has passed. The journal calls it rejected."""

_UNKNOWN_STEP: Final = "A further step"
"""For a step that this version of the code does not have."""


def customer_timelines(
    orders: Sequence[Order], payments: Mapping[UUID, Sequence[PaymentRecord]]
) -> Mapping[UUID, list[TimelineEvent]]:
    """Return the timeline of each order, oldest first, in four statements for all of them.

    ``payments`` has every payment of these orders. What an order waits for now has its deadline, and
    what was promised for it, if the orders were read ``with_progress``.
    """
    events = recent_events(orders, MAX_ATTEMPTS)
    return {
        order.pk: _Timeline(order, payments.get(order.pk, ())).rendered(events[order.pk])
        for order in orders
    }


class _Timeline:
    """Renders the events of one order, oldest first.

    A wait is one entry, and its end is another. A call that only looks for the answer has none.
    """

    def __init__(self, order: Order, payments: Sequence[PaymentRecord]) -> None:
        self._wait = order.wait
        self._later_payments = deque(payments[1:])
        self._waits: dict[UUID, str] = {}  # what each run waits for, by its id
        self._looks: set[tuple[UUID, str]] = set()  # runs and what they call while they wait
        self._began: dict[str, TimelineEvent] = {}  # the last entry of each wait, by its code
        self._before: dict[str, str] = {}  # what such an entry says first, by the same code

    def rendered(self, events: Sequence[OrderEvent]) -> list[TimelineEvent]:
        entries = [entry for event in events for entry in self._entries(event)]
        entries += self._payments_until(None)
        self._add_promise(entries)
        return sorted(entries, key=lambda entry: entry.at)

    def _entries(self, event: OrderEvent) -> Iterator[TimelineEvent]:
        yield from self._payments_until(event.at)
        match event:
            case Placed(at):
                yield TimelineEvent(at, "order", "placed", "You placed this order.")
            case CancelRequested(at, reason):
                yield TimelineEvent(
                    at, "order", "cancellation_requested", _cancel_request_text(reason)
                )
            case CallStarted(at, attempt):
                if (attempt.run_id, attempt.name) not in self._looks:
                    yield _step(at, attempt, "started")
            case AttemptEnded(at, attempt):
                yield from self._end(at, attempt)
            case StatusChanged(at, target=code) | EventRecorded(at, name=code):
                # An event such as order.confirmed repeats a transition, and has no text here.
                if code in _EVENT_TEXTS:
                    yield TimelineEvent(at, *_EVENT_TEXTS[code])

    def _payments_until(self, moment: datetime | None) -> Iterator[TimelineEvent]:
        """Yield the payments by another method until then. Each ends the wait for the customer."""
        while self._later_payments and (
            moment is None or self._later_payments[0].created_at <= moment
        ):
            at = self._later_payments.popleft().created_at
            yield TimelineEvent(at, "payment", "another_method", "You chose another way to pay.")
            self._waits = {
                run: code for run, code in self._waits.items() if code not in PAYABLE_WAITS
            }
            self._looks = {look for look in self._looks if look[0] in self._waits}

    def _end(self, at: datetime, attempt: AttemptView) -> Iterator[TimelineEvent]:
        look = attempt.run_id, attempt.name
        awaited = _awaited(attempt)
        if awaited is not None:
            self._looks.add(look)
            if self._waits.get(attempt.run_id) != awaited.code:
                self._waits[attempt.run_id] = awaited.code
                code = f"{attempt.name}.{awaited.outcome}"
                message = f"{awaited.before} {awaited.text}".strip()
                self._began[awaited.code] = TimelineEvent(at, "step", code, message)
                self._before[awaited.code] = awaited.before
                yield self._began[awaited.code]
        elif isinstance(attempt.work, Wait):
            has_waited = attempt.started_at != attempt.ended_at
            if has_waited:
                yield _wait_began(attempt.started_at, attempt.name, attempt.work.waits_for)
            if has_waited or attempt.outcome != "done":  # else such as an order without a review
                yield _step_end(at, attempt)
        elif look not in self._looks or attempt.outcome in _ENDS:  # else it failed, and waits on
            self._forget(look)
            yield _step_end(at, attempt)

    def _forget(self, look: tuple[UUID, str]) -> None:
        """End the wait of a call, and of its run unless another call waits for the same."""
        self._looks.discard(look)
        if not any(run == look[0] for run, _ in self._looks):
            self._waits.pop(look[0], None)

    def _add_promise(self, entries: list[TimelineEvent]) -> None:
        """Give the entry of the wait that has not ended its deadline, and what was promised for it.

        A wait step that has not ended gets its entry here: it is not in the journal yet.
        """
        wait = self._wait
        if wait is None or wait.since is None:
            return
        if wait.code in self._began:
            position = entries.index(self._began[wait.code])
            message = f"{self._before[wait.code]} {wait.entry}".strip()
            entries[position] = replace(entries[position], message=message, until=wait.until)
        elif isinstance(find_work(wait.code), Wait):
            code = f"{wait.code}.pending"
            entries.append(TimelineEvent(wait.since, "step", code, wait.entry, until=wait.until))


class _Awaited(NamedTuple):
    code: str
    outcome: str
    text: str
    before: str = ""
    """Why it waits: the sentence about a decline."""


def _awaited(attempt: AttemptView) -> _Awaited | None:
    """Return what a call waits for whose answer comes later, or that only the shop can end."""
    if not isinstance(attempt.work, Remote):
        return None
    if attempt.outcome == "failed" and "refund" in attempt.work.operations:
        return _Awaited(SHOP, attempt.outcome, _NOT_RETURNED)
    if attempt.outcome != "pending":
        return None
    known = attempt.work.pending_by_code.get(attempt.error)
    if known is None:
        return None
    is_decline = attempt.error == AnotherPaymentNeeded.code
    before = decline_for_customer(attempt.detail).message if is_decline else ""
    return _Awaited(attempt.error, attempt.outcome, _wait_text(known.waits_for), before)


def _wait_began(at: datetime, name: str, text: WaitText) -> TimelineEvent:
    return TimelineEvent(at, "step", f"{name}.pending", _wait_text(text))


def _wait_text(text: WaitText) -> str:
    """Return what was waited for. What was promised is known only of a wait that has not ended."""
    return f"Waiting for {text.customer}."


def _step(at: datetime, attempt: AttemptView, outcome: str) -> TimelineEvent:
    name = attempt.work.describe.customer if attempt.work else _UNKNOWN_STEP
    code = f"{attempt.name}.{outcome}"
    return TimelineEvent(at, "step", code, f"{name}: {_OUTCOMES[outcome]}", attempt.number)


def _step_end(at: datetime, attempt: AttemptView) -> TimelineEvent:
    """Return how an attempt ended. A rejection has the step's sentence for customers."""
    entry = _step(at, attempt, attempt.outcome)
    rejections = attempt.work.rejections if attempt.work else {}
    if attempt.outcome != "rejected" or attempt.error not in rejections:
        return entry
    sentence = rejections[attempt.error].for_customer(attempt.detail, is_compensated=False)
    if attempt.error in _overdue_codes(attempt.work):
        entry = replace(entry, code=f"{attempt.name}.{_OVERDUE}")
    return replace(entry, message=sentence)


def _overdue_codes(work: Work | None) -> set[str]:
    """Return the rejections of a step that mean only that its time was over."""
    match work:
        case Wait(overdue=Reject(code)):
            return {code}
        case Remote(pending=pending, rejected_by=rejected_by):
            declared = {getattr(error, "code", "") for error in rejected_by}
            ends = {call.overdue.code for call in pending if isinstance(call.overdue, Reject)}
            return ends - declared
    return set()


def _cancel_request_text(reason: str) -> str:
    who = "You" if reason == "cancelled_by_customer" else "The shop"
    return f"{who} asked to cancel this order."
