"""Sends orders to the shop: a constant number outstanding, or a constant number per second."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from benchmarks.storefront import ACCEPTED, ConnectionLost, Storefront

PAUSE_AFTER_FAILURE: Final = 0.1
"""Seconds before a customer orders again after a failure."""


@dataclass(slots=True)
class Placement:
    """One order as its customer saw it. Times are by the machine's clock, in seconds."""

    due: float  # when it was sent; in an open loop, when the schedule wanted it sent
    responded_at: float  # when the response or the error came
    order_id: str = ""
    failure: str = ""


@dataclass
class Load:
    """Places orders until ``stopped`` is set, and keeps a Placement of each."""

    storefront: Storefront
    bodies: Iterator[bytes]
    run: str  # a prefix that makes the idempotency keys of this load unique
    placements: list[Placement] = field(default_factory=list)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    _numbers: Iterator[int] = field(default_factory=count)

    async def place(self, due: float) -> Placement:
        """Send one order. Errors are returned in the Placement, not raised."""
        key = f"{self.run}-{next(self._numbers)}"
        try:
            response = await self.storefront.order(next(self.bodies), key)
        except (OSError, ConnectionLost, TimeoutError) as error:
            placement = Placement(due, time.time(), failure=type(error).__name__)
        else:
            accepted = response.status == ACCEPTED
            failure = "" if accepted else f"{response.status} {response.problem}"
            placement = Placement(due, time.time(), response.order_id, failure)
        self.placements.append(placement)
        return placement

    def failures(self) -> Counter[str]:
        """Return how often each failure happened."""
        return Counter(placement.failure for placement in self.placements if placement.failure)


async def closed_loop(
    load: Load, clients: int, wait_until_ended: Callable[[str], Awaitable[None]]
) -> None:
    """Keep ``clients`` orders outstanding: a customer orders again when their order has ended."""

    async def customer() -> None:
        while not load.stopped.is_set():
            placement = await load.place(time.time())
            if placement.order_id:
                await wait_until_ended(placement.order_id)
            else:
                await asyncio.sleep(PAUSE_AFTER_FAILURE)

    async with asyncio.TaskGroup() as customers:
        for _ in range(clients):
            customers.create_task(customer())


async def open_loop(load: Load, rate: float) -> None:
    """Send ``rate`` orders a second by a schedule, without waiting for responses.

    An order that is sent late counts from when it was due. Otherwise a stalling system would hide
    the delay of the orders that it kept from being sent (coordinated omission).
    """
    began = time.time()
    async with asyncio.TaskGroup() as under_way:
        for number in count():
            due = began + number / rate
            await asyncio.sleep(max(due - time.time(), 0))  # yields to other tasks even when late
            if load.stopped.is_set():
                return
            under_way.create_task(load.place(due))
