"""One window of the load of `make bench`, to compare throughput with and without waiting runs."""

import uuid
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.bench import Bench, Check, all_ended
from benchmarks.carts import two_line_carts
from benchmarks.catalogue import stock_products
from benchmarks.figures import Figures, figures
from benchmarks.load import Load
from benchmarks.outcomes import order_outcomes
from benchmarks.plan import Plan
from benchmarks.waits.plan import WaitsPlan
from sandbox.system import System


class Loaded(NamedTuple):
    """The figures of a window, and whether all of its orders ended."""

    figures: Figures
    check: Check


class Throughput(Bench):
    """Puts the closed loop of `make bench` on the system, for one window at a time."""

    def __init__(self, system: System, plan: WaitsPlan, tell: Callable[[str], None]) -> None:
        window = Plan(clients=plan.clients, seconds=plan.seconds, warm_up=plan.warm_up)
        super().__init__(system, window, two_line_carts(), tell)

    async def measure(self) -> Loaded:
        """Warm up, measure a window, and wait until all orders have ended.

        Raises NothingConfirmed and ProgramRestarted.
        """
        async with self._watcher() as watcher, self._meter(watcher) as meter:
            stock_products(meter.session, self._assortment.skus)
            load = Load(self._storefront(), self._assortment.bodies(), run=uuid.uuid4().hex)
            async with self._under_load(load, watcher, meter):
                window = await self._window(1, watcher, meter)
            outcomes = order_outcomes(meter.session)
        found = figures(window, load.placements, outcomes)
        return Loaded(found, all_ended(load.placements, outcomes))

    def ledgers_agree(self) -> Check:
        """Compare all orders with the sandbox's ledger."""
        return self._ledgers_agree()
