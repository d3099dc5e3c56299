"""The ways in which the drive's customers, and its misfortunes, treat the carts of a scenario."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import NamedTuple

from sandbox.drive.provider_faults import Rule
from sandbox.drive.shop import CANCELLED, ENDED, Cart, Order, Shop, new_key

SAME_REQUEST_TIMES = 4


class Stage(NamedTuple):
    """What a scenario acts on, and whom it tells about each order that was accepted and ended."""

    shop: Shop
    fault: Rule | None  # on the bank's menu, if the scenario has one
    kill: Callable[[Sequence[str]], None]  # programs, by their names and with SIGKILL
    flush_broker: Callable[[], None]
    accepted: Callable[[Order], None]

    def order(self, cart: Cart) -> Order:
        order = self.shop.place(cart, key=new_key())
        self.accepted(order)
        return order

    def end_of(self, order: Order, among: frozenset[str] = ENDED) -> Order:
        return self.shop.wait_for_end(order.id, among)

    @property
    def rule(self) -> Rule:
        if self.fault is None:
            raise ValueError("this way of placing orders needs a scenario with a fault")
        return self.fault


# Orders the carts of a scenario, and returns every order that came of it, at its end.
Place = Callable[[Stage, Sequence[Cart]], list[Order]]


def each_at_once(stage: Stage, carts: Sequence[Cart]) -> list[Order]:
    with ThreadPoolExecutor(len(carts)) as customers:
        return list(customers.map(lambda cart: stage.end_of(stage.order(cart)), carts))


def same_request_again(stage: Stage, carts: Sequence[Cart]) -> list[Order]:
    """Send each request several times at once and once more at the end, under one key."""

    def order(cart: Cart) -> set[str]:
        key = new_key()
        with ThreadPoolExecutor(SAME_REQUEST_TIMES) as impatience:
            send = [
                impatience.submit(stage.shop.place, cart, key=key)
                for _ in range(SAME_REQUEST_TIMES)
            ]
        stage.accepted(send[0].result())
        stage.end_of(send[0].result())
        return {sent.result().id for sent in send} | {stage.shop.place(cart, key=key).id}

    with ThreadPoolExecutor(len(carts)) as customers:
        ids = set().union(*customers.map(order, carts))
    return [stage.shop.wait_for_end(order_id) for order_id in ids]


def cancelled_while_paying(stage: Stage, carts: Sequence[Cart]) -> list[Order]:
    orders = [stage.order(cart) for cart in carts]
    stage.rule.wait_until_struck(len(orders))
    for order in orders:
        stage.shop.cancel(order.id)
    return [stage.end_of(order, CANCELLED) for order in orders]


def cancelled_after_confirmation(stage: Stage, carts: Sequence[Cart]) -> list[Order]:
    orders = [stage.order(cart) for cart in carts]
    for order in orders:
        stage.shop.wait_for_end(order.id)
        stage.shop.cancel(order.id)
    return [stage.end_of(order, CANCELLED) for order in orders]


def cancelled_after_capture(stage: Stage, carts: Sequence[Cart]) -> list[Order]:
    """Cancel when the money has been taken, so that it has to be given back."""
    orders = [stage.order(cart) for cart in carts]
    for order in orders:
        stage.shop.wait_until_taken(order.id)
        stage.shop.cancel(order.id)
    return [stage.end_of(order, CANCELLED) for order in orders]


def worker_killed_while_paying(stage: Stage, carts: Sequence[Cart]) -> list[Order]:
    """Kill the worker while the bank has its request and has not answered yet."""
    orders = [stage.order(cart) for cart in carts]
    stage.rule.wait_until_struck(len(orders))
    stage.kill(["worker-checkout"])
    stage.rule.release()  # the bank goes on, for a caller that is no more
    return [stage.end_of(order) for order in orders]


def killed_in_a_rush(*programs: str) -> Place:
    """Return a way to kill programs as soon as the first of many orders is in."""

    def place(stage: Stage, carts: Sequence[Cart]) -> list[Order]:
        with ThreadPoolExecutor(len(carts)) as customers:
            coming = _rush(stage, customers, carts)
            stage.kill(programs)
            return [stage.end_of(each.result()) for each in coming]

    return place


def broker_flushed_in_a_rush(stage: Stage, carts: Sequence[Cart]) -> list[Order]:
    """Wipe the broker while orders come in, and again as soon as all are in."""
    with ThreadPoolExecutor(len(carts)) as customers:
        coming = _rush(stage, customers, carts)
        stage.flush_broker()
        orders = [each.result() for each in coming]
        stage.flush_broker()
        return list(customers.map(stage.end_of, orders))


def _rush(
    stage: Stage, customers: ThreadPoolExecutor, carts: Sequence[Cart]
) -> list[Future[Order]]:
    """Have all order at once, and return when the first order is in."""
    coming = [customers.submit(stage.order, cart) for cart in carts]
    wait(coming, return_when=FIRST_COMPLETED)
    return coming
