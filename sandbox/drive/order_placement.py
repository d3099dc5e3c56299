"""The ways to order the carts of a scenario: at once, repeated, cancelled, with something killed."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import NamedTuple

from sandbox.drive.approvals import Approvals
from sandbox.drive.provider_faults import ActiveFault, ProviderSandbox
from sandbox.drive.shop import CANCELLED, ENDED, Cart, Shop, ShopOrder, new_key

REPEATED_REQUESTS = 4


class ScenarioContext(NamedTuple):
    """What a scenario can use and harm."""

    shop: Shop
    fault: ActiveFault | None  # at the sandbox, if the scenario has one
    kill: Callable[[Sequence[str]], None]  # programs, by their names and with SIGKILL
    flush_broker: Callable[[], None]
    on_accepted: Callable[[ShopOrder], None]
    stripe: ProviderSandbox | None  # None if the run does not start it
    approvals: Approvals
    advance_clock: Callable[[str], None]  # by a time such as 15m, for the whole sandbox

    def place_order(self, cart: Cart) -> ShopOrder:
        order = self.shop.place(cart, key=new_key())
        self.on_accepted(order)
        return order

    def wait_for_end(self, order: ShopOrder, among: frozenset[str] = ENDED) -> ShopOrder:
        return self.shop.wait_for_end(order.id, among)

    @property
    def required_fault(self) -> ActiveFault:
        if self.fault is None:
            raise ValueError("this way of placing orders needs a scenario with a fault")
        return self.fault

    @property
    def required_stripe(self) -> ProviderSandbox:
        if self.stripe is None:
            raise ValueError("this way of placing orders needs the Stripe sandbox")
        return self.stripe


# Orders the carts of a scenario, and returns all orders as they ended.
PlaceOrders = Callable[[ScenarioContext, Sequence[Cart]], list[ShopOrder]]


def all_at_once(context: ScenarioContext, carts: Sequence[Cart]) -> list[ShopOrder]:
    with ThreadPoolExecutor(len(carts)) as customers:
        return list(
            customers.map(lambda cart: context.wait_for_end(context.place_order(cart)), carts)
        )


def same_request_again(context: ScenarioContext, carts: Sequence[Cart]) -> list[ShopOrder]:
    """Send each request several times at once and once more at the end, under one key."""

    def order(cart: Cart) -> set[str]:
        key = new_key()
        with ThreadPoolExecutor(REPEATED_REQUESTS) as threads:
            sent = [
                threads.submit(context.shop.place, cart, key=key) for _ in range(REPEATED_REQUESTS)
            ]
        orders = [request.result() for request in sent]
        context.on_accepted(orders[0])
        context.wait_for_end(orders[0])
        orders.append(context.shop.place(cart, key=key))
        return {order.id for order in orders}

    with ThreadPoolExecutor(len(carts)) as customers:
        ids = set().union(*customers.map(order, carts))
    return [context.shop.wait_for_end(order_id) for order_id in ids]


def cancelled_while_paying(context: ScenarioContext, carts: Sequence[Cart]) -> list[ShopOrder]:
    orders = [context.place_order(cart) for cart in carts]
    context.required_fault.wait_for_hits(len(orders))
    for order in orders:
        context.shop.cancel(order.id)
    return [context.wait_for_end(order, CANCELLED) for order in orders]


def cancelled_after_confirmation(
    context: ScenarioContext, carts: Sequence[Cart]
) -> list[ShopOrder]:
    orders = [context.place_order(cart) for cart in carts]
    for order in orders:
        context.shop.wait_for_end(order.id)
        context.shop.cancel(order.id)
    return [context.wait_for_end(order, CANCELLED) for order in orders]


def cancelled_after_capture(context: ScenarioContext, carts: Sequence[Cart]) -> list[ShopOrder]:
    """Cancel after the capture, so that the money has to be refunded."""
    orders = [context.place_order(cart) for cart in carts]
    for order in orders:
        context.shop.wait_until_captured(order.id)
        context.shop.cancel(order.id)
    return [context.wait_for_end(order, CANCELLED) for order in orders]


def worker_killed_while_paying(context: ScenarioContext, carts: Sequence[Cart]) -> list[ShopOrder]:
    """Kill the worker after Stripe has received its request and before it responds."""
    orders = [context.place_order(cart) for cart in carts]
    context.required_fault.wait_for_hits(len(orders))
    context.kill(["worker-checkout"])
    context.required_fault.release()  # Stripe carries the request out; its caller is dead
    return [context.wait_for_end(order) for order in orders]


def killed_during_burst(*programs: str) -> PlaceOrders:
    """Return a way to kill programs as soon as the first of many orders is accepted."""

    def place(context: ScenarioContext, carts: Sequence[Cart]) -> list[ShopOrder]:
        with ThreadPoolExecutor(len(carts)) as customers:
            requests = _start_burst(context, customers, carts)
            context.kill(programs)
            return [context.wait_for_end(request.result()) for request in requests]

    return place


def broker_flushed_during_burst(context: ScenarioContext, carts: Sequence[Cart]) -> list[ShopOrder]:
    """Flush the broker while orders arrive, and again when all are accepted."""
    with ThreadPoolExecutor(len(carts)) as customers:
        requests = _start_burst(context, customers, carts)
        context.flush_broker()
        orders = [request.result() for request in requests]
        context.flush_broker()
        return list(customers.map(context.wait_for_end, orders))


def _start_burst(
    context: ScenarioContext, customers: ThreadPoolExecutor, carts: Sequence[Cart]
) -> list[Future[ShopOrder]]:
    """Order all carts at the same time, and return when the first order is accepted."""
    requests = [customers.submit(context.place_order, cart) for cart in carts]
    wait(requests, return_when=FIRST_COMPLETED)
    return requests
