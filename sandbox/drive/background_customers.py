"""Customers who order during all scenarios: they meet what the customers of a real shop would."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from sandbox.drive.deadlines import Stopped
from sandbox.drive.order_placement import ScenarioContext
from sandbox.drive.report import ScenarioResult
from sandbox.drive.scenarios import CONFIRMED, small_carts
from sandbox.drive.shop import ShopOrder, ShopProduct

NAME: Final = "background customers"
EVERY_SECONDS: Final = 1.0
MAX_CUSTOMERS: Final = 24


class BackgroundCustomers:
    """One order a second, paid with a good card. Every one must be confirmed."""

    def __init__(self, context: ScenarioContext, products: Mapping[str, ShopProduct]) -> None:
        self._context = context
        self._carts = small_carts(products)
        self._over = threading.Event()
        self._orders: list[ShopOrder] = []
        self._problems: list[str] = []

    @contextmanager
    def ordering(self) -> Iterator[None]:
        """Order until the block ends, then wait until these orders have ended."""
        with ThreadPoolExecutor(MAX_CUSTOMERS) as customers:
            thread = threading.Thread(
                target=self._order_regularly, args=(customers,), name="background"
            )
            thread.start()
            try:
                yield
            finally:
                self._over.set()
                thread.join()

    def result(self) -> tuple[ScenarioResult, list[ShopOrder]]:
        """Return the result and all orders as they ended. Call it after ``ordering``."""
        number = len(self._orders) + len(self._problems)
        got = dict(Counter(order.outcome for order in self._orders))
        result = ScenarioResult(NAME, number, {CONFIRMED: number}, got, "; ".join(self._problems))
        return result, self._orders

    def _order_regularly(self, customers: ThreadPoolExecutor) -> None:
        next_at = time.monotonic()
        while not self._over.wait(max(0.0, next_at - time.monotonic())):
            next_at += EVERY_SECONDS
            customers.submit(self._order_once)

    def _order_once(self) -> None:
        try:
            order = self._context.place_order(next(self._carts))
            self._orders.append(self._context.wait_for_end(order))
        except Stopped:
            pass
        except Exception as error:  # noqa: BLE001 - a customer's trouble is the result
            self._problems.append(f"{type(error).__name__}: {error}")
