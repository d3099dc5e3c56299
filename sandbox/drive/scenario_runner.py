"""Plays the scenarios on a running system, and gathers the proof that nothing went missing."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Final, NamedTuple

import redis
from rich.console import Console

from sandbox.drive.acts import Act
from sandbox.drive.board import Board
from sandbox.drive.checks import (
    Check,
    charged_once,
    no_ghost_charges,
    no_lost_orders,
    queues_idle,
    stock_conserved,
)
from sandbox.drive.deadlines import CalledOff, Patience
from sandbox.drive.everyday import NAME as EVERYDAY
from sandbox.drive.everyday import EverydayCustomers
from sandbox.drive.placing import Stage
from sandbox.drive.processes import Processes
from sandbox.drive.provider_faults import Bank, Rule
from sandbox.drive.provider_ledger import BankIntent
from sandbox.drive.report import Report, Result, show_checks, show_results, show_story
from sandbox.drive.scenarios import KILLED, Scenario
from sandbox.drive.shop import Order, Product, Shop
from sandbox.drive.view import View
from sandbox.programs import in_words
from sandbox.reconciliation import check_invariants
from sandbox.system import System

KEY_PREFIX: Final = "holdfast:"  # of the application's keys at the broker, by its own default

Programme = Callable[[Mapping[str, Product]], Sequence[Act]]


class Before(NamedTuple):
    """What was there when the drive began, and is not of its making."""

    shelves: Mapping[str, Product]
    intents: frozenset[str]  # at the bank
    unfinished: frozenset[str]  # orders of last time that were still under way
    disputed: frozenset[str]  # SKUs that those may take, or give back, at any moment


class Drive:
    """One play of all acts. Remembers every order that the shop accepted, and its scenario."""

    def __init__(self, system: System, console: Console) -> None:
        self.accepted: dict[str, str] = {}
        self.ended: dict[str, Order] = {}
        self._system = system
        self._console = console
        self._patience = patience = Patience()
        self._board = Board()
        self._shop = Shop(system.base_url, system.own_token, patience, seen=self._board.seen)
        self._processes = Processes(system.supervisor, self._board)
        url, ledger = system.stripe_url, system.directory.ledger
        self.bank = None if url is None else Bank(url, ledger, patience)

    def run(self, programme: Programme, *, with_everyday_customers: bool) -> Report:
        """Play, check and show. On a system that is not all ours nothing is harmed."""
        before = self._before()
        shelves = before.shelves
        acts = self._playable(programme(shelves))
        at_bank = None if self.bank is None else self._at_bank
        view = View(acts, self._board, self._processes, at_bank, self._console)
        everyday = EverydayCustomers(self._stage(EVERYDAY, None), shelves)
        results: list[Result] = []
        with view.shown(), self._processes.watched(), ExitStack() as customers:
            try:
                if with_everyday_customers:
                    customers.enter_context(everyday.coming())
                for act in acts:
                    results += self._play_act(act, view)
                customers.close()
            except KeyboardInterrupt:
                self._patience.call_off()
                raise
        if with_everyday_customers:
            result, orders = everyday.result()
            results.append(result)
            self.ended |= {order.id: order for order in orders}
        show_results(results, self._console)
        self._show_story()
        report = Report(results, self._checks(before))
        show_checks(report.checks, self._console)
        return report

    def orders_of(self, scenario: str) -> list[str]:
        """Return the ids of the orders that came of a scenario."""
        return [order_id for order_id, name in self.accepted.items() if name == scenario]

    def _playable(self, acts: Sequence[Act]) -> Sequence[Act]:
        if not self._system.external:
            return acts
        left_out = [each.name for act in acts for each in act.scenarios if each.is_invasive]
        self._console.print(
            "EXTERNAL=1: nothing is flushed, killed or made to fail here. "
            f"Left out: {', '.join(left_out)}."
        )
        kept = [
            act._replace(scenarios=tuple(each for each in act.scenarios if not each.is_invasive))
            for act in acts
        ]
        return [act for act in kept if act.scenarios]

    def _play_act(self, act: Act, view: View) -> list[Result]:
        self._board.next_act()
        self._processes.next_act()
        view.begin(act)
        ends_at = time.monotonic() + act.at_least_seconds
        with ThreadPoolExecutor(len(act.scenarios)) as stages:

            def play(scenario: Scenario) -> Result:
                result = self._play(scenario)
                view.finished(result)
                return result

            try:
                results = list(stages.map(play, act.scenarios))
            except KeyboardInterrupt:
                self._patience.call_off()  # before the stages are waited for
                raise
        view.end()
        threading.Event().wait(max(0.0, ends_at - time.monotonic()))
        return results

    def _play(self, scenario: Scenario) -> Result:
        orders: list[Order] = []
        problem = ""
        with ExitStack() as scene:
            try:
                rule = None
                if scenario.fault is not None and self.bank is not None:
                    card = scenario.carts[0].payment_method
                    rule = scene.enter_context(self.bank.failing(card, scenario.fault))
                stage = self._stage(scenario.name, rule)
                orders = scenario.place(stage, scenario.carts)
            except CalledOff:
                raise
            except Exception as error:  # noqa: BLE001 - one scenario's trouble is its result
                problem = f"{type(error).__name__}: {error}"
        self.ended |= {order.id: order for order in orders}
        return Result(
            name=scenario.name,
            orders=len(scenario.carts),
            expected={outcome: count for outcome, count in scenario.expected.items() if count},
            got=dict(Counter(order.outcome for order in orders)),
            problem=problem,
        )

    def _stage(self, name: str, rule: Rule | None) -> Stage:
        def accepted(order: Order) -> None:
            self.accepted[order.id] = name
            self._board.accepted(order)

        return Stage(
            shop=self._shop,
            fault=rule,
            kill=self._kill,
            flush_broker=self._flush_broker,
            accepted=accepted,
        )

    def _kill(self, programs: Sequence[str]) -> None:
        pids = self._system.pids()
        for name in programs:
            os.kill(pids[name], signal.SIGKILL)
        killed = ", ".join(f"{in_words(name)} (process {pids[name]})" for name in programs)
        self._board.struck(f"Killed with SIGKILL: {killed}")

    def _flush_broker(self) -> None:
        with redis.Redis.from_url(self._system.settings["REDIS_URL"]) as broker:
            broker.flushall()
        self._board.struck("The broker is flushed: every message is gone")

    def _book(self) -> dict[str, BankIntent]:
        return {} if self.bank is None else self.bank.book()

    def _at_bank(self, order_ids: Collection[str]) -> int:
        """Return what the bank holds or has taken for these orders."""
        book = self._book().values()
        return sum(each.with_us_minor for each in book if each.order_id in order_ids)

    def _before(self) -> Before:
        unfinished = self._shop.unfinished()
        return Before(
            shelves=self._shop.products(),
            intents=frozenset(self._book()),
            unfinished=frozenset(order.id for order in unfinished),
            disputed=frozenset(sku for order in unfinished for sku in order.sold),
        )

    def _checks(self, before: Before) -> list[Check]:
        checks = [no_lost_orders(list(self.accepted), self.ended)]
        if self.bank is not None:
            book = {
                intent_id: entry
                for intent_id, entry in self._book().items()
                if intent_id not in before.intents and entry.order_id not in before.unfinished
            }
            checks += [no_ghost_charges(book, self.ended), charged_once(book, self.ended)]
        return [
            *checks,
            self._stock_conserved(before),
            queues_idle(
                self._system.settings["REDIS_URL"],
                self._system.environment.get("REDIS_KEY_PREFIX", KEY_PREFIX),
                self._patience,
            ),
            self._invariants_hold(),
        ]

    def _stock_conserved(self, before: Before) -> Check:
        comparable = before.shelves.keys() - before.disputed
        shelves = {sku: before.shelves[sku] for sku in comparable}
        check = stock_conserved(shelves, self._shop.products(), self.ended)
        if not before.disputed:
            return check
        left_out = ", ".join(sorted(before.disputed))
        detail = f"{check.detail}; left out, as orders of last time were under way: {left_out}"
        return check._replace(detail=detail)

    def _invariants_hold(self) -> Check:
        """Ask the application's own check, which sees both its database and the bank's list."""
        ledger = None if self.bank is None else self._system.directory.ledger
        finished = check_invariants(self._system.environment, ledger, capture=True)
        said = (finished.stdout + finished.stderr).strip()
        if finished.returncode == 0:
            return Check("check_invariants", ok=True, detail=said.splitlines()[-1] if said else "")
        return Check("check_invariants", ok=False, detail=said[-2000:])

    def _show_story(self) -> None:
        """Show the timeline of the order whose worker was killed under it."""
        for order_id in self.orders_of(KILLED):
            title = f"The order whose worker was killed: {order_id}"
            show_story(title, self._shop.timeline(order_id), self._console)
