"""A slow trickle of orders while the demo stays up, so that there is something to look at."""

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple

from sandbox.drive.deadlines import Stopped, StopSignal
from sandbox.drive.order_tracker import short
from sandbox.drive.provider_faults import ActiveFault, FaultSpec, ProviderSandbox
from sandbox.drive.scenarios import (
    DECLINING_CARDS,
    ENOUGH,
    SCARCE,
    skus_with_enough,
    small_carts,
)
from sandbox.drive.shop import (
    ANOTHER_PAYMENT,
    ENDED,
    Cart,
    Shop,
    ShopOrder,
    ShopProduct,
    new_key,
)

EVERY_SECONDS: Final = 4.0
POLL_SECONDS: Final = 1.0
MAX_UNDER_WAY: Final = 30
END_SECONDS: Final = 2  # how long the end of the demo waits for the thread
ORDERS_PER_STOCK_CHECK: Final = 15


class Visit(NamedTuple):
    """What one customer of the trickle does."""

    cart: Cart
    fault: FaultSpec | None = None  # for the card, once
    changes_mind: bool = False  # cancels after the capture


class TrickleStatus(NamedTuple):
    """The state of the trickle, for the status line."""

    placed: int
    ended: Mapping[str, int]
    under_way: int
    last: str
    problem: str
    is_paused: bool


class Trickle:
    """One customer after the other, in a thread of its own. Errors do not end it.

    ``is_paused`` returns whether nothing may be ordered now. ``refill`` adds stock.
    """

    def __init__(
        self,
        shop: Shop,
        stripe: ProviderSandbox | None,
        stop_signal: StopSignal,
        *,
        is_paused: Callable[[], bool],
        refill: Callable[[], None],
    ) -> None:
        self._shop = shop
        self._stripe = stripe
        self._stop_signal = stop_signal
        self._refill = refill
        self._must_pause = is_paused
        self._is_paused = False
        products = shop.products()
        self._skus = skus_with_enough(products)
        self._visits = visits(products)
        self._under_way: dict[str, Visit] = {}
        self._cancelled: set[str] = set()
        self._ended: Counter[str] = Counter()
        self._placed = 0
        self._fault: ActiveFault | None = None
        self._last = ""
        self._problem = ""

    @contextmanager
    def running(self) -> Iterator[None]:
        # A daemon: a request without a response must not delay the end.
        thread = threading.Thread(target=self._run, name="trickle", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop_signal.stop()
            thread.join(END_SECONDS)

    def status(self) -> TrickleStatus:
        return TrickleStatus(
            placed=self._placed,
            ended=dict(self._ended),
            under_way=len(self._under_way),
            last=self._last,
            problem=self._problem,
            is_paused=self._is_paused,
        )

    def _run(self) -> None:
        polls_per_visit = round(EVERY_SECONDS / POLL_SECONDS)
        try:
            for poll in itertools.count():
                self._step(is_time=poll % polls_per_visit == 0)
                self._stop_signal.sleep(POLL_SECONDS)
        except Stopped:
            pass

    def _step(self, *, is_time: bool) -> None:
        """Update all orders, and place one if ``is_time``. The status shows an error until the next step."""
        try:
            for order_id, visit in list(self._under_way.items()):
                self._follow(order_id, visit)
            self._is_paused = self._must_pause()
            if is_time and not self._is_paused and len(self._under_way) < MAX_UNDER_WAY:
                self._start_visit(next(self._visits))
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - the demo continues after any error
            self._problem = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        else:
            self._problem = ""

    def _start_visit(self, visit: Visit) -> None:
        if self._stripe is not None and visit.fault is not None:
            if self._fault is not None:
                self._fault.remove()
            note = "the trickle, once"
            self._fault = self._stripe.add_fault(visit.cart.payment_method, visit.fault, note)
        order = self._shop.place(visit.cart, key=new_key())
        self._placed += 1
        self._under_way[order.id] = visit
        self._last = f"order {short(order.id)} placed"
        if self._placed % ORDERS_PER_STOCK_CHECK == 0:
            self._refill_if_low()

    def _refill_if_low(self) -> None:
        products = self._shop.products()
        if min(products[sku].available for sku in self._skus) < ENOUGH:
            self._refill()

    def _follow(self, order_id: str, visit: Visit) -> None:
        order = self._shop.get_order(order_id)
        if order.waits_for == ANOTHER_PAYMENT:
            self._cancel_once(order_id)
        elif visit.changes_mind and order.status == "confirmed":
            if order.is_captured:
                self._cancel_once(order_id)
        elif order.status in ENDED:
            self._record_end(order)

    def _cancel_once(self, order_id: str) -> None:
        if order_id not in self._cancelled:
            self._shop.cancel(order_id)
            self._cancelled.add(order_id)

    def _record_end(self, order: ShopOrder) -> None:
        del self._under_way[order.id]
        self._cancelled.discard(order.id)
        self._ended[order.status] += 1
        self._last = f"order {short(order.id)} {order.status}"


def visits(products: Mapping[str, ShopProduct]) -> Iterator[Visit]:
    """Yield customers without end: most pay, and each minute some are declined, slow or cancel.

    A customer whose payment is declined gives up, and cancels the order.
    """
    carts = small_carts(products)
    declining = itertools.cycle(DECLINING_CARDS)
    slow, silent = FaultSpec("latency", 6000, times=1), FaultSpec("timeout_after", times=1)
    while True:
        yield Visit(next(carts))
        yield Visit(next(carts))
        yield Visit(next(carts)._replace(payment_method=next(declining)))
        yield Visit(next(carts))
        yield Visit(next(carts)._replace(payment_method="pm_card_mastercard"), fault=slow)
        yield Visit(next(carts))
        yield Visit(next(carts), changes_mind=True)
        yield Visit(next(carts)._replace(payment_method=next(declining)))
        yield Visit(next(carts))
        yield Visit(next(carts)._replace(payment_method="pm_card_amex"), fault=silent)
        yield Visit(Cart(((SCARCE, 1),), "pm_card_visa"))
        yield Visit(next(carts))
