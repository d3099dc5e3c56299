"""Plays the scenarios on a running system, and gathers the proof that nothing went missing."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any, Final, NamedTuple

import redis
from rich.console import Console

from sandbox.drive.bank import Bank, BankIntent
from sandbox.drive.checks import (
    Check,
    charged_once,
    no_ghost_charges,
    no_lost_orders,
    queues_idle,
    stock_conserved,
)
from sandbox.drive.patience import Patience
from sandbox.drive.placing import Stage
from sandbox.drive.report import Progress, Result, show, shown_live
from sandbox.drive.scenarios import KILLED, Scenario, scenarios
from sandbox.drive.shop import Order, Product, Shop
from sandbox.statement import check_invariants
from sandbox.system import System

KEY_PREFIX: Final = "holdfast:"  # of the application's keys at the broker, by its own default


class Report(NamedTuple):
    """What `var/smoke.json` holds."""

    results: Sequence[Result]
    checks: Sequence[Check]

    @property
    def ok(self) -> bool:
        return all(each.ok for each in self.results) and all(each.ok for each in self.checks)

    def as_json(self, seconds: Mapping[str, float]) -> dict[str, object]:
        return {
            "scenarios": [
                {
                    "name": result.name,
                    "orders": result.orders,
                    "expected": result.expected,
                    "got": result.got,
                    "problem": result.problem,
                    "ok": result.ok,
                }
                for result in self.results
            ],
            "checks": [check._asdict() for check in self.checks],
            "ok": self.ok,
            "seconds": dict(seconds),
        }


class Drive:
    """One play of all scenarios at once. Remembers every order that the shop accepted."""

    def __init__(self, system: System, console: Console) -> None:
        self._system = system
        self._console = console
        self._patience = patience = Patience()
        self._shop = Shop(system.base_url, system.customer_token, patience)
        url, ledger = system.stripe_url, system.directory.ledger
        self._bank = None if url is None else Bank(url, ledger, patience)
        self._accepted: dict[str, str] = {}  # order id to its scenario
        self._ended: dict[str, Order] = {}

    def run(self) -> Report:
        """Play, check and show. On a system that is not all ours nothing is harmed."""
        shelves = self._shop.products()
        known = self._book().keys()
        listed = self._playable(scenarios(shelves))
        progress = Progress(listed, self._console)
        with shown_live(progress, self._console), ThreadPoolExecutor(len(listed)) as stages:
            play = partial(self._play, progress)
            try:
                # The first one finds the workers starting; the others, everything at work.
                results = [*stages.map(play, listed[:1]), *stages.map(play, listed[1:])]
            except KeyboardInterrupt:
                self._patience.call_off()
                raise
        checks = self._checks(shelves, known)
        report = Report(results, checks)
        show(results, checks, self._story(), self._console)
        return report

    def _playable(self, listed: list[Scenario]) -> list[Scenario]:
        if not self._system.external:
            return listed
        kept = [scenario for scenario in listed if not scenario.is_invasive]
        left = ", ".join(scenario.name for scenario in listed if scenario.is_invasive)
        self._console.print(
            f"EXTERNAL=1: nothing is flushed, killed or made to fail here. Left out: {left}."
        )
        return kept

    def _play(self, progress: Progress, scenario: Scenario) -> Result:
        orders: list[Order] = []
        problem = ""
        with ExitStack() as scene:
            try:
                orders = scenario.place(self._stage(scenario, progress, scene), scenario.carts)
            except Exception as error:  # noqa: BLE001 - one scenario's trouble is its result
                problem = f"{type(error).__name__}: {error}"
        self._ended |= {order.id: order for order in orders}
        result = Result(
            name=scenario.name,
            orders=len(scenario.carts),
            expected={outcome: count for outcome, count in scenario.expected.items() if count},
            got=dict(Counter(order.outcome for order in orders)),
            problem=problem,
        )
        progress.finished(result)
        return result

    def _stage(self, scenario: Scenario, progress: Progress, scene: ExitStack) -> Stage:
        def accept(order: Order) -> None:
            self._accepted[order.id] = scenario.name
            progress.accepted(scenario.name)

        rule = None
        if scenario.fault is not None and self._bank is not None:
            card = scenario.carts[0].payment_method
            rule = scene.enter_context(self._bank.failing(card, scenario.fault))
        return Stage(
            shop=self._shop,
            fault=rule,
            worker_pid=lambda: self._system.pids()["worker-checkout"],
            flush_broker=self._flush_broker,
            accepted=accept,
            ended=lambda _: progress.ended(scenario.name),
        )

    def _flush_broker(self) -> None:
        with redis.Redis.from_url(self._system.settings["REDIS_URL"]) as broker:
            broker.flushall()

    def _checks(self, shelves: Mapping[str, Product], known: Iterable[str]) -> list[Check]:
        checks = [no_lost_orders(list(self._accepted), self._ended)]
        if self._bank is not None:
            book = {key: value for key, value in self._book().items() if key not in known}
            checks += [no_ghost_charges(book, self._ended), charged_once(book, self._ended)]
        checks += [
            stock_conserved(shelves, self._shop.products(), self._ended),
            queues_idle(
                self._system.settings["REDIS_URL"],
                self._system.environment.get("REDIS_KEY_PREFIX", KEY_PREFIX),
                self._patience,
            ),
            self._invariants_hold(),
        ]
        return checks

    def _book(self) -> dict[str, BankIntent]:
        return {} if self._bank is None else self._bank.book()

    def _invariants_hold(self) -> Check:
        """Ask the application's own check, which sees both its database and the bank's list."""
        ledger = None if self._bank is None else self._system.directory.ledger
        finished = check_invariants(self._system.environment, ledger, capture=True)
        said = (finished.stdout + finished.stderr).strip()
        if finished.returncode == 0:
            return Check("check_invariants", ok=True, detail=said.splitlines()[-1] if said else "")
        return Check("check_invariants", ok=False, detail=said[-2000:])

    def _story(self) -> tuple[str, list[dict[str, Any]]]:
        """Return the timeline of the order whose worker was killed under it."""
        killed = [order_id for order_id, name in self._accepted.items() if name == KILLED]
        if not killed:
            return "", []
        title = f"The order whose worker was killed: {killed[0]}"
        return title, self._shop.timeline(killed[0])
