"""Customers who come all the while, whatever is going on: what they meet is what a shop's would."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from sandbox.drive.deadlines import CalledOff
from sandbox.drive.placing import Stage
from sandbox.drive.report import Result
from sandbox.drive.scenarios import CONFIRMED, everyday_carts
from sandbox.drive.shop import Order, Product

NAME: Final = "customers all the while"
EVERY_SECONDS: Final = 1.0
AT_ONCE: Final = 24


class EverydayCustomers:
    """One order a second, paid by a good card: every one of them must be confirmed."""

    def __init__(self, stage: Stage, products: Mapping[str, Product]) -> None:
        self._stage = stage
        self._carts = everyday_carts(products)
        self._over = threading.Event()
        self._orders: list[Order] = []
        self._problems: list[str] = []

    @contextmanager
    def coming(self) -> Iterator[None]:
        """Have them come until the block ends, and then wait for what they have ordered."""
        with ThreadPoolExecutor(AT_ONCE) as customers:
            thread = threading.Thread(target=self._come, args=(customers,), name="everyday")
            thread.start()
            try:
                yield
            finally:
                self._over.set()
                thread.join()

    def result(self) -> tuple[Result, list[Order]]:
        """Return how it went, once nobody comes any more, and every order at its end."""
        number = len(self._orders) + len(self._problems)
        got = dict(Counter(order.outcome for order in self._orders))
        result = Result(NAME, number, {CONFIRMED: number}, got, "; ".join(self._problems))
        return result, self._orders

    def _come(self, customers: ThreadPoolExecutor) -> None:
        next_at = time.monotonic()
        while not self._over.wait(max(0.0, next_at - time.monotonic())):
            next_at += EVERY_SECONDS
            customers.submit(self._buy)

    def _buy(self) -> None:
        try:
            self._orders.append(self._stage.end_of(self._stage.order(next(self._carts))))
        except CalledOff:
            pass
        except Exception as error:  # noqa: BLE001 - a customer's trouble is the result
            self._problems.append(f"{type(error).__name__}: {error}")
