"""A slow trickle of orders for as long as the demo stays up, so that there is life to look at."""

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple

from sandbox.drive.board import short
from sandbox.drive.deadlines import CalledOff, Patience
from sandbox.drive.provider_faults import Bank, Fault, Rule
from sandbox.drive.scenarios import (
    DECLINING_CARDS,
    ENOUGH,
    SCARCE,
    everyday_carts,
    skus_with_enough,
)
from sandbox.drive.shop import ENDED, Cart, Order, Product, Shop, new_key

EVERY_SECONDS: Final = 4.0
LOOK_SECONDS: Final = 1.0
MOST_UNDER_WAY: Final = 30
END_SECONDS: Final = 2
STOCKTAKING: Final = 15  # orders from one to the next


class Visit(NamedTuple):
    """What one customer of the trickle does."""

    cart: Cart
    fault: Fault | None = None  # what the bank does wrong for the card, once
    changes_mind: bool = False  # and cancels when the money has been taken


class Standing(NamedTuple):
    """How the trickle goes, for the status line."""

    placed: int
    ended: Mapping[str, int]
    under_way: int
    last: str
    trouble: str
    is_quiet: bool


class Trickle:
    """One customer after the other, in a thread of its own; whatever happens, it goes on.

    ``is_quiet`` tells whether nothing may be ordered now; ``refill`` has goods come in.
    """

    def __init__(
        self,
        shop: Shop,
        bank: Bank | None,
        patience: Patience,
        *,
        is_quiet: Callable[[], bool],
        refill: Callable[[], None],
    ) -> None:
        self._shop = shop
        self._bank = bank
        self._patience = patience
        self._refill = refill
        self._asks_for_quiet = is_quiet
        self._is_quiet = False
        products = shop.products()
        self._sold = skus_with_enough(products)
        self._visits = visits(products)
        self._under_way: dict[str, Visit] = {}
        self._cancelled: set[str] = set()
        self._ended: Counter[str] = Counter()
        self._placed = 0
        self._rule: Rule | None = None
        self._last = ""
        self._trouble = ""

    @contextmanager
    def running(self) -> Iterator[None]:
        # A daemon: a request that nobody answers must not keep the end waiting.
        thread = threading.Thread(target=self._run, name="trickle", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._patience.call_off()
            thread.join(END_SECONDS)

    def standing(self) -> Standing:
        return Standing(
            placed=self._placed,
            ended=dict(self._ended),
            under_way=len(self._under_way),
            last=self._last,
            trouble=self._trouble,
            is_quiet=self._is_quiet,
        )

    def _run(self) -> None:
        looks_per_visit = round(EVERY_SECONDS / LOOK_SECONDS)
        try:
            for look in itertools.count():
                self._take_a_turn(is_time=look % looks_per_visit == 0)
                self._patience.pause(LOOK_SECONDS)
        except CalledOff:
            pass

    def _take_a_turn(self, *, is_time: bool) -> None:
        """Look after everybody, and let the next one in. A trouble is shown, and gone with the next."""
        try:
            for order_id, visit in list(self._under_way.items()):
                self._look_after(order_id, visit)
            self._is_quiet = self._asks_for_quiet()
            if is_time and not self._is_quiet and len(self._under_way) < MOST_UNDER_WAY:
                self._let_in(next(self._visits))
        except CalledOff:
            raise
        except Exception as error:  # noqa: BLE001 - nobody watches a demo to see it give up
            self._trouble = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        else:
            self._trouble = ""

    def _let_in(self, visit: Visit) -> None:
        if self._bank is not None and visit.fault is not None:
            if self._rule is not None:
                self._rule.remove()
            note = "the trickle, once"
            self._rule = self._bank.fail(visit.cart.payment_method, visit.fault, note)
        order = self._shop.place(visit.cart, key=new_key())
        self._placed += 1
        self._under_way[order.id] = visit
        self._last = f"order {short(order.id)} placed"
        if self._placed % STOCKTAKING == 0:
            self._take_stock()

    def _take_stock(self) -> None:
        products = self._shop.products()
        if min(products[sku].available for sku in self._sold) < ENOUGH:
            self._refill()

    def _look_after(self, order_id: str, visit: Visit) -> None:
        order = self._shop.look(order_id)
        if visit.changes_mind and order.status == "confirmed":
            if order.is_taken and order_id not in self._cancelled:
                self._shop.cancel(order_id)
                self._cancelled.add(order_id)
        elif order.status in ENDED:
            self._see_off(order)

    def _see_off(self, order: Order) -> None:
        del self._under_way[order.id]
        self._cancelled.discard(order.id)
        self._ended[order.status] += 1
        self._last = f"order {short(order.id)} {order.status}"


def visits(products: Mapping[str, Product]) -> Iterator[Visit]:
    """Yield a mix of fates for ever: most are paid, and of the others some come every minute."""
    carts = everyday_carts(products)
    declining = itertools.cycle(DECLINING_CARDS)
    slow, silent = Fault("latency", 6000, times=1), Fault("timeout_after", times=1)
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
