"""Runs the scenarios on a running system, and checks that no order, charge or stock is lost."""

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

from sandbox.drive.api_client import ApiClient
from sandbox.drive.approvals import Approvals
from sandbox.drive.background_customers import NAME as BACKGROUND
from sandbox.drive.background_customers import BackgroundCustomers
from sandbox.drive.checks import (
    Check,
    charged_once,
    events_relayed,
    no_ghost_charges,
    no_lost_orders,
    queues_idle,
    stock_conserved,
)
from sandbox.drive.deadlines import Stopped, StopSignal
from sandbox.drive.event_follower import EventFollower
from sandbox.drive.order_placement import ScenarioContext
from sandbox.drive.order_tracker import OrderTracker
from sandbox.drive.process_watcher import ProcessWatcher
from sandbox.drive.provider_faults import ActiveFault, ProviderSandbox
from sandbox.drive.provider_ledger import LedgerPayment
from sandbox.drive.report import (
    DriveReport,
    ScenarioResult,
    show_checks,
    show_results,
    show_timeline,
)
from sandbox.drive.scenario_groups import ScenarioGroup
from sandbox.drive.scenarios import KILLED, Scenario
from sandbox.drive.shop import Shop, ShopOrder, ShopProduct
from sandbox.drive.view import View
from sandbox.management import manage
from sandbox.programs import display_name
from sandbox.reconciliation import check_invariants
from sandbox.system import System

KEY_PREFIX: Final = "holdfast:"  # the default of the application's setting REDIS_KEY_PREFIX

EVENT_SECONDS: Final = 15
PUBLISH_AGAIN: Final = ("events", "publish-again", "--transport", "redis")

ChooseGroups = Callable[[Mapping[str, ShopProduct]], Sequence[ScenarioGroup]]


class Baseline(NamedTuple):
    """The state before the drive, which the checks leave out."""

    products: Mapping[str, ShopProduct]
    payments: frozenset[str]  # ids of PaymentIntents
    unfinished: frozenset[str]  # ids of orders of an earlier run that are still under way
    unsettled_skus: frozenset[str]  # whose stock those orders can still change


class ClockNotMoved(Exception):
    """The command that moves the sandbox's clock failed."""


class Drive:
    """One run of all groups. ``accepted`` maps each accepted order to its scenario."""

    def __init__(self, system: System, console: Console) -> None:
        self.accepted: dict[str, str] = {}
        self.ended: dict[str, ShopOrder] = {}
        self._system = system
        self._console = console
        self._stop_signal = stop_signal = StopSignal()
        self._tracker = OrderTracker()
        self._shop = Shop(
            system.base_url, system.own_token, stop_signal, on_order=self._tracker.record
        )
        self._approvals = Approvals(ApiClient(system.base_url, system.shop_token, stop_signal))
        self._processes = ProcessWatcher(system.supervisor, self._tracker)
        self._events = EventFollower(system.settings["REDIS_URL"])
        url, ledger = system.stripe_url, system.directory.ledger
        self.stripe = None if url is None else ProviderSandbox(url, ledger, stop_signal)

    def run(self, choose_groups: ChooseGroups, *, with_background_customers: bool) -> DriveReport:
        """Run the scenarios, print the results, check, and return the report.

        With EXTERNAL=1 the scenarios that kill or break something are left out.
        """
        with self._events.following():
            return self._run(choose_groups, with_background_customers=with_background_customers)

    def _run(self, choose_groups: ChooseGroups, *, with_background_customers: bool) -> DriveReport:
        baseline = self._take_baseline()
        groups = self._allowed_groups(choose_groups(baseline.products))
        at_stripe = None if self.stripe is None else self._at_stripe
        view = View(groups, self._tracker, self._processes, at_stripe, self._console)
        background = BackgroundCustomers(self._context(BACKGROUND, None), baseline.products)
        results: list[ScenarioResult] = []
        with view.shown(), self._processes.watching(), ExitStack() as customers:
            try:
                if with_background_customers:
                    customers.enter_context(background.ordering())
                for group in groups:
                    results += self._run_group(group, view)
                customers.close()
            except KeyboardInterrupt:
                self._stop_signal.stop()
                raise
        if with_background_customers:
            result, orders = background.result()
            results.append(result)
            self.ended |= {order.id: order for order in orders}
        show_results(results, self._console)
        self._show_killed_order()
        report = DriveReport(results, self._checks(baseline))
        show_checks(report.checks, self._console)
        return report

    def orders_of(self, scenario: str) -> list[str]:
        """Return the ids of a scenario's orders."""
        return [order_id for order_id, name in self.accepted.items() if name == scenario]

    def _allowed_groups(self, groups: Sequence[ScenarioGroup]) -> Sequence[ScenarioGroup]:
        if not self._system.external:
            return groups
        left_out = [
            scenario.name
            for group in groups
            for scenario in group.scenarios
            if scenario.is_invasive
        ]
        self._console.print(
            "EXTERNAL=1: nothing is flushed, killed or made to fail, and no clock is moved. "
            f"Left out: {', '.join(left_out)}."
        )
        kept = [
            group._replace(
                scenarios=tuple(
                    scenario for scenario in group.scenarios if not scenario.is_invasive
                )
            )
            for group in groups
        ]
        return [group for group in kept if group.scenarios]

    def _run_group(self, group: ScenarioGroup, view: View) -> list[ScenarioResult]:
        self._tracker.start_group()
        self._processes.start_group()
        view.begin(group)
        ends_at = time.monotonic() + group.at_least_seconds
        with ThreadPoolExecutor(len(group.scenarios)) as threads:

            def run(scenario: Scenario) -> ScenarioResult:
                result = self._run_scenario(scenario)
                view.finished(result)
                return result

            try:
                results = list(threads.map(run, group.scenarios))
            except KeyboardInterrupt:
                self._stop_signal.stop()  # else the pool would wait for its threads
                raise
        view.end()
        threading.Event().wait(max(0.0, ends_at - time.monotonic()))
        return results

    def _run_scenario(self, scenario: Scenario) -> ScenarioResult:
        orders: list[ShopOrder] = []
        problem = ""
        with ExitStack() as faults:
            try:
                fault = None
                if scenario.fault is not None and self.stripe is not None:
                    card = scenario.carts[0].payment_method
                    fault = faults.enter_context(self.stripe.failing(card, scenario.fault))
                context = self._context(scenario.name, fault)
                orders = scenario.place(context, scenario.carts)
            except Stopped:
                raise
            except Exception as error:  # noqa: BLE001 - the error is the scenario's result
                problem = f"{type(error).__name__}: {error}"
        self.ended |= {order.id: order for order in orders}
        return ScenarioResult(
            name=scenario.name,
            orders=len(scenario.carts),
            expected={outcome: count for outcome, count in scenario.expected.items() if count},
            got=dict(Counter(order.outcome for order in orders)),
            problem=problem,
        )

    def _context(self, name: str, fault: ActiveFault | None) -> ScenarioContext:
        def on_accepted(order: ShopOrder) -> None:
            self.accepted[order.id] = name
            self._tracker.record_accepted(order)

        return ScenarioContext(
            shop=self._shop,
            fault=fault,
            kill=self._kill,
            flush_broker=self._flush_broker,
            on_accepted=on_accepted,
            stripe=self.stripe,
            approvals=self._approvals,
            advance_clock=self._advance_clock,
        )

    def _kill(self, programs: Sequence[str]) -> None:
        pids = self._system.pids()
        for name in programs:
            os.kill(pids[name], signal.SIGKILL)
        killed = ", ".join(f"{display_name(name)} (process {pids[name]})" for name in programs)
        self._tracker.record_disruption(f"Killed with SIGKILL: {killed}")

    def _flush_broker(self) -> None:
        with redis.Redis.from_url(self._system.settings["REDIS_URL"]) as broker:
            broker.flushall()
        self._tracker.record_disruption("The broker is flushed: every message is gone")

    def _advance_clock(self, time: str) -> None:
        """Move the clock of the database and the services. Raises ClockNotMoved."""
        moved = manage(self._system.environment, "clock", "advance", time)
        if moved.returncode != 0:
            raise ClockNotMoved(moved.stderr)
        self._tracker.add_event(f"The clock is moved forward by {time}")

    def _ledger_payments(self) -> dict[str, LedgerPayment]:
        return {} if self.stripe is None else self.stripe.payments()

    def _at_stripe(self, order_ids: Collection[str]) -> int:
        """Return how much Stripe holds or has captured for these orders, in minor units."""
        return sum(
            payment.held_or_captured_minor
            for payment in self._ledger_payments().values()
            if payment.order_id in order_ids
        )

    def _take_baseline(self) -> Baseline:
        unfinished = self._shop.unfinished()
        return Baseline(
            products=self._shop.products(),
            payments=frozenset(self._ledger_payments()),
            unfinished=frozenset(order.id for order in unfinished),
            unsettled_skus=frozenset(sku for order in unfinished for sku in order.quantities),
        )

    def _checks(self, baseline: Baseline) -> list[Check]:
        checks = [no_lost_orders(list(self.accepted), self.ended)]
        if self.stripe is not None:
            payments = {
                intent_id: payment
                for intent_id, payment in self._ledger_payments().items()
                if intent_id not in baseline.payments
                and payment.order_id not in baseline.unfinished
            }
            checks += [no_ghost_charges(payments, self.ended), charged_once(payments, self.ended)]
        return [
            *checks,
            self._stock_conserved(baseline),
            queues_idle(
                self._system.settings["REDIS_URL"],
                self._system.environment.get("REDIS_KEY_PREFIX", KEY_PREFIX),
                self._stop_signal,
            ),
            self._invariants_hold(baseline),
            self._events_relayed(),
        ]

    def _stock_conserved(self, baseline: Baseline) -> Check:
        comparable = baseline.products.keys() - baseline.unsettled_skus
        before = {sku: baseline.products[sku] for sku in comparable}
        check = stock_conserved(before, self._shop.products(), self.ended)
        if not baseline.unsettled_skus:
            return check
        left_out = ", ".join(sorted(baseline.unsettled_skus))
        detail = f"{check.detail}; left out because earlier orders were under way: {left_out}"
        return check._replace(detail=detail)

    def _invariants_hold(self, baseline: Baseline) -> Check:
        """Run the application's check_invariants, which compares its database with Stripe's ledger.

        Orders of an earlier run that still wait, such as those left for a reader, are no finding.
        """
        ledger = None if self.stripe is None else self._system.directory.ledger
        must_rest = not baseline.unfinished
        finished = check_invariants(
            self._system.environment, ledger, capture=True, must_rest=must_rest
        )
        output = (finished.stdout + finished.stderr).strip()
        if finished.returncode == 0:
            return Check(
                "check_invariants", ok=True, detail=output.splitlines()[-1] if output else ""
            )
        return Check("check_invariants", ok=False, detail=output[-2000:])

    def _events_relayed(self) -> Check:
        """Wait until all events have arrived. If a flushed broker has lost some, all come again."""
        for again in (False, True):
            if again:
                self._events.forget()
                since = ("--since", "2000-01-01T00:00")
                manage(self._system.environment, *PUBLISH_AGAIN, *since)
            for _ in self._stop_signal.attempts(EVENT_SECONDS, pause=0.1, longest=0.5):
                check = events_relayed(self._events.arrived(), self.ended)
                if check.ok:
                    why = "; published again, because the broker was flushed" if again else ""
                    return check._replace(detail=check.detail + why)
        return check

    def _show_killed_order(self) -> None:
        """Print the timeline of the order whose worker was killed."""
        for order_id in self.orders_of(KILLED):
            title = f"The order whose worker was killed: {order_id}"
            show_timeline(title, self._shop.timeline(order_id), self._console)
