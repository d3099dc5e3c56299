"""What the drive knows of its orders at this moment: the view shows it, and nothing else."""

import statistics
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, NamedTuple

from sandbox.drive.shop import ENDED, Order

WAITING_SECONDS: Final = 3.0  # without a move, an order under way counts as waiting
RATE_SECONDS: Final = 10.0
PERCENT: Final = 100


class Event(NamedTuple):
    """Something that happened, in plain words."""

    at: float  # seconds since the drive began
    text: str
    is_notable: bool  # not one of the many orders' own


class Glance(NamedTuple):
    """How all orders of the drive stand. Times are in seconds."""

    elapsed: float
    accepted: int
    per_second: float
    counts: Mapping[str, int]
    p50: float | None
    p95: float | None
    aftermath: str
    confirmed_minor: int  # what the confirmed orders are worth
    order_ids: frozenset[str]


@dataclass
class _Tracked:
    order: Order
    moved_at: float


@dataclass
class _Strike:
    """The moment something was killed or wiped, and who was under way then."""

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
class Board:
    """Safe to use from many threads. ``tell`` hears of every event as it happens."""

    tell: Callable[[Event], None] = lambda _: None
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=60))
    _lock: Lock = field(default_factory=Lock)
    _began: float = field(default_factory=time.monotonic)
    _tracked: dict[str, _Tracked] = field(default_factory=dict)
    _to_confirm: list[float] = field(default_factory=list)
    _accepted_at: list[float] = field(default_factory=list)
    _strikes: list[_Strike] = field(default_factory=list)

    def note(self, text: str, *, is_notable: bool = True) -> None:
        """Put something on the feed."""
        event = Event(time.monotonic() - self._began, text, is_notable)
        self.events.append(event)
        self.tell(event)

    def accepted(self, order: Order) -> None:
        """Begin to track an order."""
        now = time.monotonic()
        with self._lock:
            if order.id in self._tracked:
                return
            self._tracked[order.id] = _Tracked(order._replace(status="placed"), now)
            self._accepted_at.append(now)
        self.seen(order)

    def seen(self, order: Order) -> None:
        """Take in how an order stands; one that is not tracked is somebody else's."""
        now = time.monotonic()
        with self._lock:
            tracked = self._tracked.get(order.id)
            if tracked is None or tracked.order.status == order.status:
                return
            tracked.order, tracked.moved_at = order, now
            if order.status == "confirmed":
                self._to_confirm.append(order.took)
            for strike in self._strikes:
                if order.id in strike.under_way:
                    strike.under_way.remove(order.id)
                    strike.moved += 1
                    strike.last_moved_after = now - strike.at
        self.note(_in_words(order), is_notable=False)

    def struck(self, what: str) -> None:
        """Note a blow, and from now on how those who were under way get over it."""
        with self._lock:
            under_way = {
                order_id
                for order_id, each in self._tracked.items()
                if each.order.status not in ENDED
            }
            self._strikes.append(_Strike(time.monotonic(), under_way))
        self.note(what)

    def next_act(self) -> None:
        """Forget the blows of the act before."""
        with self._lock:
            self._strikes.clear()

    def glance(self) -> Glance:
        now = time.monotonic()
        with self._lock:
            counts = Counter(_column(each, now) for each in self._tracked.values())
            recently = sum(now - at <= RATE_SECONDS for at in self._accepted_at)
            return Glance(
                elapsed=now - self._began,
                accepted=len(self._tracked),
                per_second=recently / min(RATE_SECONDS, max(now - self._began, 1.0)),
                counts=counts,
                p50=percentile(self._to_confirm, 50),
                p95=percentile(self._to_confirm, 95),
                aftermath=self._strikes[-1].in_words() if self._strikes else "",
                confirmed_minor=sum(
                    each.order.total_minor
                    for each in self._tracked.values()
                    if each.order.status == "confirmed"
                ),
                order_ids=frozenset(self._tracked),
            )


def percentile(values: Sequence[float], percent: int) -> float | None:
    """Return the value that ``percent`` of all do not exceed; None of nothing."""
    if len(values) < 2:  # noqa: PLR2004 - fewer have no cuts between them
        return values[0] if values else None
    return statistics.quantiles(values, n=PERCENT, method="inclusive")[percent - 1]


def short(order_id: str) -> str:
    """Return the end of an order's id, which is enough to tell a few hundred apart."""
    return f"…{order_id[-6:]}"


def _column(tracked: _Tracked, now: float) -> str:
    if tracked.order.status in ENDED:
        return tracked.order.status
    is_waiting = now - tracked.moved_at > WAITING_SECONDS
    return "waiting" if is_waiting else tracked.order.status


def _in_words(order: Order) -> str:
    match order.status:
        case "confirmed":
            return f"Order {short(order.id)} is confirmed, {order.took:.1f} s after it was accepted"
        case "cancelling":
            return f"Order {short(order.id)} turns back: {order.reason_words}"
        case "cancelled":
            return f"Order {short(order.id)} is cancelled, all undone: {order.reason_words}"
    return f"Order {short(order.id)} is {order.status}"
