"""One benchmark from the first order to the books: load, windows, drain, checks."""

import asyncio
import subprocess
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import urllib3

from benchmarks.carts import Assortment
from benchmarks.catalogue import stock
from benchmarks.figures import Figures, Window, figures
from benchmarks.load import Load, Placement, closed_loop, open_loop
from benchmarks.meter import Meter
from benchmarks.outcomes import Fate, fates
from benchmarks.plan import Plan
from benchmarks.speed import SpeedProbe
from benchmarks.storefront import Storefront
from benchmarks.watcher import Watcher
from sandbox.statement import check_invariants
from sandbox.system import System

DRAIN_SECONDS: Final = 120

_LIVE: Final = "SELECT count(*) FROM sagas_sagarun WHERE status IN ('running', 'compensating')"


class Check(NamedTuple):
    """Something without which the figures are those of a system that does not do its work."""

    name: str
    ok: bool
    detail: str


class Result(NamedTuple):
    """All that a benchmark found."""

    windows: list[Figures]
    failures: dict[str, int]
    checks: list[Check]
    durability: dict[str, str]

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)


class Bench:
    """Drives a running system as a plan says, and measures it."""

    def __init__(
        self, system: System, plan: Plan, assortment: Assortment, tell: Callable[[str], None]
    ) -> None:
        self._system = system
        self._plan = plan
        self._assortment = assortment
        self._tell = tell

    async def run(self) -> Result:
        """Do all of it. Raises NotDurable, NothingConfirmed and ProgramRestarted."""
        watcher = await Watcher.connect(self._system.settings["DATABASE_URL"])
        meter = Meter(self._system, watcher.backend)
        host, _, port = self._system.base_url.removeprefix("http://").partition(":")
        storefront = Storefront(host, int(port), self._system.customer_token)
        watching = asyncio.create_task(watcher.watch())
        try:
            durability = meter.durability()
            stock(meter.session, self._assortment.skus)
            self._set_latency()
            load = Load(storefront, self._assortment.bodies(), run=uuid.uuid4().hex)
            windows = await self._measure(load, watcher, meter)
            found = fates(meter.session)
        finally:
            watching.cancel()
            storefront.close()
            meter.close()
            await watcher.close()
        return Result(
            windows=[figures(window, load.placements, found) for window in windows],
            failures=failures(load, found),
            checks=[all_ended(load.placements, found), self._books_agree()],
            durability=durability,
        )

    async def _measure(self, load: Load, watcher: Watcher, meter: Meter) -> list[Window]:
        if self._plan.rate is None:
            offered = closed_loop(load, self._plan.clients, watcher.ended)
        else:
            offered = open_loop(load, self._plan.rate)
        loading = asyncio.create_task(offered)
        windows = []
        for number in range(1, self._plan.repeat + 1):
            self._tell(f"Window {number} of {self._plan.repeat}, after warming up.")
            await asyncio.sleep(self._plan.warm_up)
            windows.append(await self._window(watcher, meter))
        self._tell("Draining.")
        load.stopped.set()
        async with asyncio.timeout(DRAIN_SECONDS):
            await loading
            while meter.session.execute(_LIVE).fetchone() != (0,):
                await asyncio.sleep(0.2)
        return windows

    async def _window(self, watcher: Watcher, meter: Meter) -> Window:
        before = await asyncio.to_thread(meter.read, watcher.queries)
        probe = SpeedProbe()
        await asyncio.sleep(self._plan.seconds)
        slow = probe.stop()
        after = await asyncio.to_thread(meter.read, watcher.queries)
        return Window(before, after, slow)

    def _set_latency(self) -> None:
        urllib3.request(
            "POST",
            f"{self._system.stripe_url}/_sandbox/latency",
            json={"ms": self._plan.latency_ms},
            timeout=10,
        )

    def _books_agree(self) -> Check:
        """Ask the application's own check, which sees its database and the bank's ledger."""
        finished: subprocess.CompletedProcess[str] = check_invariants(
            self._system.environment, self._system.directory.ledger, capture=True
        )
        said = (finished.stdout + finished.stderr).strip()
        if finished.returncode == 0:
            return Check("books agree", ok=True, detail=said.splitlines()[-1] if said else "")
        return Check("books agree", ok=False, detail=said[-2000:])


def all_ended(placements: Sequence[Placement], found: dict[str, Fate]) -> Check:
    """Look for orders that were accepted and have no end."""
    accepted = [each.order_id for each in placements if each.order_id]
    unended = [
        order_id
        for order_id in accepted
        if order_id not in found or found[order_id].status not in ("confirmed", "cancelled")
    ]
    detail = f"{len(accepted)} accepted, {len(unended)} of them without an end"
    return Check("every accepted order ended", not unended, detail)


def failures(load: Load, found: dict[str, Fate]) -> dict[str, int]:
    """Count, over the whole run, what the customers were refused and why orders were cancelled."""
    cancelled = Counter(
        f"cancelled: {fate.reason}" for fate in found.values() if fate.status == "cancelled"
    )
    return dict(load.failures() + cancelled)
