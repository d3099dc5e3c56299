"""Runs one benchmark: single orders, windows under load, draining, and the final checks."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NamedTuple

import urllib3

from benchmarks.carts import Assortment
from benchmarks.catalogue import stock_products
from benchmarks.figures import Figures, Window, figures
from benchmarks.load import Load, Placement, closed_loop, open_loop
from benchmarks.meter import Meter
from benchmarks.outcomes import OrderOutcome, confirmed_between, order_outcomes
from benchmarks.plan import Plan
from benchmarks.sampling import ProfilerFailed, sampled
from benchmarks.single_order import SingleOrderCosts, measure_single_orders
from benchmarks.speed import SpeedProbe
from benchmarks.statements import Statement, StatementLog, count_per_order
from benchmarks.storefront import Storefront
from benchmarks.watcher import Watcher
from sandbox.reconciliation import check_invariants
from sandbox.system import System

DRAIN_SECONDS: Final = 120
LOGGED_SECONDS: Final = 2

_LIVE: Final = """
SELECT count(*) FROM sagas_sagarun
WHERE saga IN ('checkout', 'cancellation') AND status IN ('running', 'compensating')
"""


class Check(NamedTuple):
    """A condition without which the figures mean nothing: the system did not do its work."""

    name: str
    ok: bool
    detail: str


class LoggedSpan(NamedTuple):
    """The statements that PostgreSQL received between two moments, under load."""

    began: float
    ended: float
    sent: list[Statement]


class BenchResult(NamedTuple):
    """Everything that a benchmark measured and checked."""

    alone: SingleOrderCosts
    windows: list[Figures]
    statements: list[tuple[str, str, float]]  # under load: program, text, times per order
    profile: dict[str, Any]
    failures: dict[str, int]
    checks: list[Check]
    durability: dict[str, str]

    @property
    def ok(self) -> bool:
        """Return whether every check passed."""
        return all(check.ok for check in self.checks)


class Bench:
    """Puts a plan's load on a running system, and measures it."""

    def __init__(
        self, system: System, plan: Plan, assortment: Assortment, tell: Callable[[str], None]
    ) -> None:
        self._system = system
        self._plan = plan
        self._assortment = assortment
        self._tell = tell

    async def run(self) -> BenchResult:
        """Run the whole benchmark.

        Raises NotDurable, NothingConfirmed, OrderStuck, ProgramRestarted, LogIncomplete.
        """
        async with self._watcher() as watcher, self._meter(watcher) as meter:
            durability = meter.durability()
            stock_products(meter.session, self._assortment.skus)
            self._set_latency()
            load = Load(self._storefront(), self._assortment.bodies(), run=uuid.uuid4().hex)
            log = StatementLog(meter.session, self._system.directory.logs / "postgres.log")
            self._tell("One order after the other, each alone.")
            single_order = await measure_single_orders(load, meter, log)
            async with self._under_load(load, watcher, meter):
                windows = [await self._window(number, watcher, meter) for number in self._windows]
                self._tell("Counting the statements.")
                logged = await asyncio.to_thread(_logged, log)
                profile = await self._profile(meter) if self._plan.profile else {}
            outcomes = order_outcomes(meter.session)
        confirmed_while_logged = confirmed_between(logged.began, logged.ended, outcomes)
        return BenchResult(
            alone=single_order,
            windows=[
                {
                    **figures(window, load.placements, outcomes),
                    **_statements_per_order(logged, outcomes),
                }
                for window in windows
            ],
            statements=count_per_order(logged.sent, confirmed_while_logged),
            profile=profile,
            failures=failures(load, outcomes),
            checks=[all_ended(load.placements, outcomes), self._ledgers_agree()],
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
    async def _under_load(self, load: Load, watcher: Watcher, meter: Meter) -> AsyncIterator[None]:
        """Send orders while the block runs, then wait until every order has ended."""
        if self._plan.rate is None:
            sending = closed_loop(load, self._plan.clients, watcher.wait_until_ended)
        else:
            sending = open_loop(load, self._plan.rate)
        loading = asyncio.create_task(sending)
        try:
            yield
            self._tell("Draining.")
            load.stopped.set()
            with suppress(TimeoutError):  # the checks find orders that have not ended
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
        except ProfilerFailed as error:  # an ordinary user may lack the right to trace processes
            self._tell(f"No profile: {error}")
            return {}

    def _set_latency(self) -> None:
        urllib3.request(
            "POST",
            f"{self._system.stripe_url}/_sandbox/latency",
            json={"ms": self._plan.latency_ms},
            timeout=10,
        )

    def _ledgers_agree(self) -> Check:
        """Run the application's invariants on its database and the sandbox's ledger."""
        finished = check_invariants(
            self._system.environment, self._system.directory.ledger, capture=True
        )
        output = (finished.stdout + finished.stderr).strip()
        if finished.returncode == 0:
            detail = output.splitlines()[-1] if output else ""
            return Check("ledgers agree", ok=True, detail=detail)
        return Check("ledgers agree", ok=False, detail=output[-2000:])


def all_ended(placements: Sequence[Placement], outcomes: Mapping[str, OrderOutcome]) -> Check:
    """Check that every accepted order is confirmed or cancelled."""
    accepted = [placement.order_id for placement in placements if placement.order_id]
    not_ended = [
        order_id
        for order_id in accepted
        if order_id not in outcomes or outcomes[order_id].status not in ("confirmed", "cancelled")
    ]
    detail = f"{len(accepted)} accepted, {len(not_ended)} of them not ended"
    return Check("every accepted order ended", not not_ended, detail)


def failures(load: Load, outcomes: Mapping[str, OrderOutcome]) -> dict[str, int]:
    """Count failed requests and cancelled orders of the whole run, by reason."""
    cancelled = Counter(
        f"cancelled: {outcome.reason}"
        for outcome in outcomes.values()
        if outcome.status == "cancelled"
    )
    return dict(load.failures() + cancelled)


def _logged(log: StatementLog) -> LoggedSpan:
    log.start()
    began = time.time()
    time.sleep(LOGGED_SECONDS)  # noqa: TID251 - the logged span
    ended = time.time()
    sent = [statement for statement in log.stop() if statement.program != "benchmark"]
    return LoggedSpan(began, ended, sent)


def _statements_per_order(logged: LoggedSpan, outcomes: Mapping[str, OrderOutcome]) -> Figures:
    orders = confirmed_between(logged.began, logged.ended, outcomes)
    sent = sum(not statement.is_control for statement in logged.sent)
    return {"SQL statements per order": sent / orders} if orders else {}
