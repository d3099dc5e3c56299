"""Offers orders to the shop: so many at a time, or so many a second, whatever becomes of them."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from benchmarks.storefront import ACCEPTED, ConnectionLost, Storefront

PAUSE_AFTER_FAILURE: Final = 0.1
"""Seconds: a shop that refuses at once is not asked at once again."""


@dataclass(slots=True)
class Placement:
    """One order as its customer saw it. Times are the machine's clock, in seconds."""

    due: float  # when it was, or by the schedule should have been, sent
    answered: float
    order_id: str = ""
    failure: str = ""


@dataclass
class Load:
    """Places orders until it is stopped, and remembers every one."""

    storefront: Storefront
    bodies: Iterator[bytes]
    run: str  # makes the idempotency keys of this load its own
    placements: list[Placement] = field(default_factory=list)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    _numbers: Iterator[int] = field(default_factory=count)

    async def place(self, due: float) -> Placement:
        """Send one order. What goes wrong is written down, never raised."""
        key = f"{self.run}-{next(self._numbers)}"
        try:
            answer = await self.storefront.order(next(self.bodies), key)
        except (OSError, ConnectionLost, TimeoutError) as error:
            placement = Placement(due, time.time(), failure=type(error).__name__)
        else:
            accepted = answer.status == ACCEPTED
            failure = "" if accepted else f"{answer.status} {answer.problem}"
            placement = Placement(due, time.time(), answer.order_id, failure)
        self.placements.append(placement)
        return placement

    def failures(self) -> Counter[str]:
        return Counter(each.failure for each in self.placements if each.failure)


async def closed_loop(load: Load, clients: int, ended: Callable[[str], Awaitable[None]]) -> None:
    """Keep ``clients`` orders outstanding: a customer orders again once ``ended`` returns."""

    async def customer() -> None:
        while not load.stopped.is_set():
            placement = await load.place(time.time())
            if placement.order_id:
                await ended(placement.order_id)
            else:
                await asyncio.sleep(PAUSE_AFTER_FAILURE)

    async with asyncio.TaskGroup() as customers:
        for _ in range(clients):
            customers.create_task(customer())


async def open_loop(load: Load, rate: float) -> None:
    """Send ``rate`` orders a second by a schedule, however late the answers are.

    An order that is sent late counts from when it was due, so that a system which stalls cannot
    hide the orders that it kept from being sent (coordinated omission).
    """
    began = time.time()
    async with asyncio.TaskGroup() as under_way:
        for number in count():
            due = began + number / rate
            await asyncio.sleep(max(due - time.time(), 0))  # a late one lets the others run too
            if load.stopped.is_set():
                return
            under_way.create_task(load.place(due))
