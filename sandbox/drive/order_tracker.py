"""The state of all orders of a drive at this moment. The view shows what it returns, and nothing else."""

import statistics
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, NamedTuple

from sandbox.drive.shop import ENDED, ShopOrder

WAITING_SECONDS: Final = 3.0  # an order whose status is older counts as waiting
RATE_SECONDS: Final = 10.0
PERCENT: Final = 100


class FeedEvent(NamedTuple):
    """Something that happened, as a sentence."""

    at: float  # seconds since the drive began
    text: str
    is_notable: bool  # False for the status changes of single orders


class Snapshot(NamedTuple):
    """All orders of the drive at one moment. Times are in seconds."""

    elapsed: float
    accepted: int
    per_second: float
    counts: Mapping[str, int]
    p50: float | None
    p95: float | None
    recovery: str
    confirmed_minor: int  # the sum of the confirmed orders' totals
    currency: str  # of every order; empty without orders
    order_ids: frozenset[str]


@dataclass
class _TrackedOrder:
    order: ShopOrder
    changed_at: float


@dataclass
class _Disruption:
    """The moment when something was killed or flushed, and the orders under way then."""

    at: float
    under_way: set[str]
    moved: int = 0
    last_moved_after: float = 0.0

    def in_words(self) -> str:
        number = self.moved + len(self.under_way)
        if number == 0:
            return "no order was under way at that moment"
        under_way = f"{number} order{'s were' if number > 1 else ' was'} under way"
        if self.under_way:
            return f"{under_way}; {self.moved} moved on so far"
        return f"{under_way}; moved on within {self.last_moved_after:.1f} s"


@dataclass
class OrderTracker:
    """Safe to use from many threads. Calls ``on_event`` with every event as it happens."""

    on_event: Callable[[FeedEvent], None] = lambda _: None
    events: deque[FeedEvent] = field(default_factory=lambda: deque(maxlen=60))
    _lock: Lock = field(default_factory=Lock)
    _began: float = field(default_factory=time.monotonic)
    _tracked: dict[str, _TrackedOrder] = field(default_factory=dict)
    _seconds_to_confirm: list[float] = field(default_factory=list)
    _accepted_at: list[float] = field(default_factory=list)
    _disruptions: list[_Disruption] = field(default_factory=list)

    def add_event(self, text: str, *, is_notable: bool = True) -> None:
        """Add a sentence to the feed."""
        event = FeedEvent(time.monotonic() - self._began, text, is_notable)
        self.events.append(event)
        self.on_event(event)

    def record_accepted(self, order: ShopOrder) -> None:
        """Start to track an order. Does nothing for an order that is tracked already."""
        now = time.monotonic()
        with self._lock:
            if order.id in self._tracked:
                return
            self._tracked[order.id] = _TrackedOrder(order._replace(status="placed"), now)
            self._accepted_at.append(now)
        self.record(order)

    def record(self, order: ShopOrder) -> None:
        """Record an order's present status. Ignores orders that are not tracked."""
        now = time.monotonic()
        with self._lock:
            tracked = self._tracked.get(order.id)
            if tracked is None or tracked.order.status == order.status:
                return
            tracked.order, tracked.changed_at = order, now
            if order.status == "confirmed":
                self._seconds_to_confirm.append(order.seconds)
            for disruption in self._disruptions:
                if order.id in disruption.under_way:
                    disruption.under_way.remove(order.id)
                    disruption.moved += 1
                    disruption.last_moved_after = now - disruption.at
        self.add_event(_in_words(order), is_notable=False)

    def record_disruption(self, text: str) -> None:
        """Add an event, and follow how the orders that are under way now recover from it."""
        with self._lock:
            under_way = {
                order_id
                for order_id, tracked in self._tracked.items()
                if tracked.order.status not in ENDED
            }
            self._disruptions.append(_Disruption(time.monotonic(), under_way))
        self.add_event(text)

    def start_group(self) -> None:
        """Forget the disruptions of the previous group of scenarios."""
        with self._lock:
            self._disruptions.clear()

    def snapshot(self) -> Snapshot:
        now = time.monotonic()
        with self._lock:
            tracked_orders = list(self._tracked.values())
            recently = sum(now - at <= RATE_SECONDS for at in self._accepted_at)
            return Snapshot(
                elapsed=now - self._began,
                accepted=len(tracked_orders),
                per_second=recently / min(RATE_SECONDS, max(now - self._began, 1.0)),
                counts=Counter(_column(tracked, now) for tracked in tracked_orders),
                p50=percentile(self._seconds_to_confirm, 50),
                p95=percentile(self._seconds_to_confirm, 95),
                recovery=self._disruptions[-1].in_words() if self._disruptions else "",
                confirmed_minor=sum(
                    tracked.order.total_minor
                    for tracked in tracked_orders
                    if tracked.order.status == "confirmed"
                ),
                currency=tracked_orders[0].order.currency if tracked_orders else "",
                order_ids=frozenset(self._tracked),
            )


def percentile(values: Sequence[float], percent: int) -> float | None:
    """Return the value that ``percent`` of all values do not exceed; None without values."""
    if len(values) < 2:  # noqa: PLR2004 - `quantiles` needs two
        return values[0] if values else None
    return statistics.quantiles(values, n=PERCENT, method="inclusive")[percent - 1]


def short(order_id: str) -> str:
    """Return the end of an order's id, which is enough to tell a few hundred apart."""
    return f"…{order_id[-6:]}"


def _column(tracked: _TrackedOrder, now: float) -> str:
    if tracked.order.status in ENDED:
        return tracked.order.status
    is_waiting = now - tracked.changed_at > WAITING_SECONDS
    return "waiting" if is_waiting else tracked.order.status


def _in_words(order: ShopOrder) -> str:
    name = f"Order {short(order.id)}"
    match order.status:
        case "confirmed":
            return f"{name} is confirmed, {order.seconds:.1f} s after it was accepted"
        case "cancelling":
            return f"{name} is being cancelled: {order.reason_text}"
        case "cancelled":
            return f"{name} is cancelled, everything compensated: {order.reason_text}"
    return f"{name} is {order.status}"
