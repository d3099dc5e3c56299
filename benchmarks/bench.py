"""One benchmark from the first order to the books: alone, under load, drained, checked."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NamedTuple

import urllib3

from benchmarks.alone import Alone, alone
from benchmarks.carts import Assortment
from benchmarks.catalogue import stock
from benchmarks.figures import Figures, Window, figures
from benchmarks.load import Load, Placement, closed_loop, open_loop
from benchmarks.meter import Meter
from benchmarks.outcomes import Fate, confirmed_between, fates
from benchmarks.plan import Plan
from benchmarks.sampling import ProfilerFailed, sampled
from benchmarks.speed import SpeedProbe
from benchmarks.statements import Statement, StatementLog, counted
from benchmarks.storefront import Storefront
from benchmarks.watcher import Watcher
from sandbox.reconciliation import check_invariants
from sandbox.system import System

DRAIN_SECONDS: Final = 120
LOGGED_SECONDS: Final = 2

_LIVE: Final = "SELECT count(*) FROM sagas_sagarun WHERE status IN ('running', 'compensating')"


class Check(NamedTuple):
    """Something without which the figures are those of a system that does not do its work."""

    name: str
    ok: bool
    detail: str


class LoggedSpan(NamedTuple):
    """What was sent to PostgreSQL from one moment to another, under load."""

    began: float
    ended: float
    sent: list[Statement]


class Result(NamedTuple):
    """All that a benchmark found."""

    alone: Alone
    windows: list[Figures]
    statements: list[tuple[str, str, float]]  # under load: program, text, times per order
    profile: dict[str, Any]
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
        """Do all of it. Raises NotDurable, NothingConfirmed, OrderStuck, ProgramRestarted."""
        async with self._watcher() as watcher, self._meter(watcher) as meter:
            durability = meter.durability()
            stock(meter.session, self._assortment.skus)
            self._set_latency()
            load = Load(self._storefront(), self._assortment.bodies(), run=uuid.uuid4().hex)
            log = StatementLog(meter.session, self._system.directory.logs / "postgres.log")
            self._tell("One order after the other, each alone.")
            by_itself = await alone(load, meter, log)
            async with self._offered(load, watcher, meter):
                windows = [await self._window(number, watcher, meter) for number in self._windows]
                self._tell("Counting the statements.")
                logged = await asyncio.to_thread(_logged, log)
                profile = await self._profile(meter) if self._plan.profile else {}
            found = fates(meter.session)
        return Result(
            alone=by_itself,
            windows=[
                {**figures(window, load.placements, found), **_statements_per_order(logged, found)}
                for window in windows
            ],
            statements=counted(logged.sent, confirmed_between(logged.began, logged.ended, found)),
            profile=profile,
            failures=failures(load, found),
            checks=[all_ended(load.placements, found), self._books_agree()],
            durability=durability,
        )

    @property
    def _windows(self) -> range:
        return range(1, self._plan.repeat + 1)

    @asynccontextmanager
    async def _watcher(self) -> AsyncIterator[Watcher]:
        watcher = await Watcher.connect(self._system.settings["DATABASE_URL"])
        watching = asyncio.create_task(watcher.watch())
        try:
            yield watcher
        finally:
            watching.cancel()
            await watcher.close()

    @asynccontextmanager
    async def _meter(self, watcher: Watcher) -> AsyncIterator[Meter]:
        meter = Meter(self._system, watcher.backend)
        try:
            yield meter
        finally:
            meter.close()

    def _storefront(self) -> Storefront:
        host, _, port = self._system.base_url.removeprefix("http://").partition(":")
        return Storefront(host, int(port), self._system.customer_token)

    @asynccontextmanager
    async def _offered(self, load: Load, watcher: Watcher, meter: Meter) -> AsyncIterator[None]:
        """Offer the load, and at the end wait until every order that came of it has ended."""
        if self._plan.rate is None:
            offered = closed_loop(load, self._plan.clients, watcher.ended)
        else:
            offered = open_loop(load, self._plan.rate)
        loading = asyncio.create_task(offered)
        try:
            yield
            self._tell("Draining.")
            load.stopped.set()
            with suppress(TimeoutError):  # what has not ended by then is found by the checks
                async with asyncio.timeout(DRAIN_SECONDS):
                    await loading
                    while meter.session.execute(_LIVE).fetchone() != (0,):
                        await asyncio.sleep(0.2)
        finally:
            loading.cancel()
            load.storefront.close()

    async def _window(self, number: int, watcher: Watcher, meter: Meter) -> Window:
        self._tell(f"Window {number} of {self._plan.repeat}, after warming up.")
        await asyncio.sleep(self._plan.warm_up)
        before = await asyncio.to_thread(meter.read, watcher.queries)
        probe = SpeedProbe()
        await asyncio.sleep(self._plan.seconds)
        slow = probe.stop()
        after = await asyncio.to_thread(meter.read, watcher.queries)
        return Window(before, after, slow)

    async def _profile(self, meter: Meter) -> dict[str, Any]:
        self._tell("Profiling.")
        try:
            return await sampled(meter.pids(), self._system.directory.path / "profile")
        except ProfilerFailed as error:  # as an ordinary user one may not look into processes
            self._tell(f"No profile: {error}")
            return {}

    def _set_latency(self) -> None:
        urllib3.request(
            "POST",
            f"{self._system.stripe_url}/_sandbox/latency",
            json={"ms": self._plan.latency_ms},
            timeout=10,
        )

    def _books_agree(self) -> Check:
        """Ask the application's own check, which sees its database and the bank's ledger."""
        finished = check_invariants(
            self._system.environment, self._system.directory.ledger, capture=True
        )
        said = (finished.stdout + finished.stderr).strip()
        if finished.returncode == 0:
            return Check("books agree", ok=True, detail=said.splitlines()[-1] if said else "")
        return Check("books agree", ok=False, detail=said[-2000:])


def all_ended(placements: Sequence[Placement], found: Mapping[str, Fate]) -> Check:
    """Look for orders that were accepted and have no end."""
    accepted = [each.order_id for each in placements if each.order_id]
    unended = [
        order_id
        for order_id in accepted
        if order_id not in found or found[order_id].status not in ("confirmed", "cancelled")
    ]
    detail = f"{len(accepted)} accepted, {len(unended)} of them without an end"
    return Check("every accepted order ended", not unended, detail)


def failures(load: Load, found: Mapping[str, Fate]) -> dict[str, int]:
    """Count, over the whole run, what the customers were refused and why orders were cancelled."""
    cancelled = Counter(
        f"cancelled: {fate.reason}" for fate in found.values() if fate.status == "cancelled"
    )
    return dict(load.failures() + cancelled)


def _logged(log: StatementLog) -> LoggedSpan:
    log.start()
    began = time.time()
    time.sleep(LOGGED_SECONDS)  # noqa: TID251 - the span that is looked at
    ended = time.time()
    return LoggedSpan(began, ended, [each for each in log.stop() if each.program != "benchmark"])


def _statements_per_order(logged: LoggedSpan, found: Mapping[str, Fate]) -> Figures:
    orders = confirmed_between(logged.began, logged.ended, found)
    sent = sum(not each.is_control for each in logged.sent)
    return {"SQL statements per order": sent / orders} if orders else {}
