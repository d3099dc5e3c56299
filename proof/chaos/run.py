"""One chaos run: start the system, run load and nemesis, heal, wait for every order's end."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import psycopg
import urllib3

from proof.chaos import ledgers
from proof.chaos.checker import Evidence
from proof.chaos.customers import Customers
from proof.chaos.invariant_watch import InvariantWatch
from proof.chaos.layout import chaos_layout
from proof.chaos.ledgers import Ledgers
from proof.chaos.nemesis import Nemesis
from proof.chaos.plan import PROVIDER_FAULTS, PROVIDER_LATENCY_MS, WAIT_SETTINGS, Plan
from proof.chaos.request_log import RequestLog, read_log, responses_by_visit
from proof.chaos.wait_answers import WaitControls
from sandbox.drive.deadlines import StopSignal
from sandbox.drive.provider_faults import ProviderSandbox
from sandbox.procfile import ROOT
from sandbox.reconciliation import check_invariants
from sandbox.run_directory import RunDirectory
from sandbox.system import SupervisorGone, System, running

RUN: Final = RunDirectory("chaos/system", published="var/chaos/system/up.json")
REST_SECONDS: Final = 120
"""Every order must end within this time after the healing, or after a later acceptance."""
FINISH_SECONDS: Final = 120
LONGEST_REST_SECONDS: Final = REST_SECONDS + FINISH_SECONDS
PROGRAMS_SECONDS: Final = 60
CUSTOMERS: Final = "customers.jsonl"


class NotDurable(Exception):
    """PostgreSQL does not sync its commits: surviving a kill would prove nothing."""

    def __init__(self, setting: str) -> None:
        super().__init__(f"PostgreSQL runs with {setting} off: surviving a kill proves nothing")


class ChaosResult(NamedTuple):
    """Everything that a run collected, before its verdict."""

    evidence: Evidence
    unfinished: list[str]  # runs and orders that had not ended after REST_SECONDS
    rest_seconds: float  # from the healing to the last order's end
    broken: list[tuple[str, str]]  # when `check_invariants` found what
    figures: Mapping[str, Any]


class ChaosRun:
    """Runs a plan on a running system."""

    def __init__(
        self, system: System, plan: Plan, folder: Path, tell: Callable[[str], None]
    ) -> None:
        self._system = system
        self._plan = plan
        self._folder = folder
        self._tell = tell
        if system.stripe_url is None:
            raise ValueError("chaos needs its own Stripe sandbox")
        self._sandbox_controls = f"{system.stripe_url}/_sandbox"
        self._provider = ProviderSandbox(system.stripe_url, system.directory.ledger, StopSignal())

    def run(self) -> ChaosResult:
        """Run the plan, heal the system, wait for every order's end, and collect the ledgers."""
        with self._database() as connection:
            ledgers.create_products(connection, self._plan.stock)
        self._tell(
            f"{len(self._plan.visits)} customers and {len(self._plan.disruptions)} disruptions "
            f"in {self._plan.seconds:g} s."
        )
        self._began = time.monotonic()
        self._nemesis = Nemesis(
            self._system, self._plan.seed, self._folder / "nemesis.jsonl", self._began
        )
        log = self._folder / "watch.jsonl"
        with (
            InvariantWatch(self._system.environment, log, self._began) as self._watch,
            RequestLog(self._folder / CUSTOMERS, self._began) as request_log,
        ):
            customers = Customers(
                self._system.base_url,
                self._system.customer_token,
                request_log,
                WaitControls(
                    stripe_controls=self._sandbox_controls,
                    api=f"{self._system.base_url}/api/v1",
                    shop_token=self._system.shop_token,
                    database_url=self._system.settings["DATABASE_URL"],
                ),
                seed=self._plan.seed,
                patience_seconds=self._plan.seconds + REST_SECONDS + FINISH_SECONDS,
            )
            with self._failing_provider():
                self._disrupt(customers)
            healed = time.monotonic()
            self._tell("Healed. Waiting for every order's end.")
            unfinished = self._await_programs() + self._await_rest(healed)
            rested = time.monotonic()
            customers.finish(FINISH_SECONDS)
            if not unfinished:
                unfinished = self._await_rest(healed)  # the orders of the last customers
        evidence = self._evidence()
        return ChaosResult(
            evidence, unfinished, rested - healed, self._broken(), self._figures(evidence)
        )

    def _disrupt(self, customers: Customers) -> None:
        """Run visits and disruptions for the planned time, then heal the system."""
        disruptions = self._plan.disruptions
        disrupting = threading.Thread(target=self._nemesis.work, args=(disruptions,), daemon=True)
        disrupting.start()
        try:
            customers.start_visits(self._plan.visits, self._began)
            disrupting.join(max(0.0, self._began + self._plan.seconds - time.monotonic()))
        finally:  # also when interrupted: a paused process could not stop in order
            self._nemesis.stop()
            disrupting.join()
            self._nemesis.heal()

    @contextmanager
    def _failing_provider(self) -> Iterator[None]:
        """Make a share of the sandbox's calls fail inside the block, and count the failures."""
        for fault, rate in conditional(PROVIDER_FAULTS).items():
            latency = PROVIDER_LATENCY_MS if fault == "latency" else 0
            self._control("POST", {"fault": fault, "rate": rate, "latency_ms": latency})
        yield
        self._provider_fault_hits = {
            rule["fault"]: rule["hits"] for rule in self._control("GET")["rules"]
        }
        self._control("DELETE")

    def _control(self, method: str, body: object = None) -> dict[str, Any]:
        url = f"{self._sandbox_controls}/faults"
        response = urllib3.request(method, url, json=body, timeout=10, retries=False)
        content: dict[str, Any] = response.json()
        return content

    def _await_programs(self) -> list[str]:
        """Wait until all programs run again. Returns a sentence for each that does not.

        Raises SupervisorGone.
        """
        down = ["supervisord does not answer"]
        for _ in StopSignal().attempts(PROGRAMS_SECONDS, pause=0.1, longest=0.5):
            if self._system.supervisor.has_ended():
                raise SupervisorGone
            statuses = self._system.supervisor.statuses()
            down = [f"{name} is down" for name, status in statuses.items() if not status.running]
            if statuses and not down:
                break
        return down

    def _await_rest(self, healed: float) -> list[str]:
        """Wait until all runs and orders have ended. Returns those that exceed their time."""
        unfinished: list[ledgers.Unfinished] = []
        for _ in StopSignal().attempts(LONGEST_REST_SECONDS, pause=0.2, longest=0.5):
            since = time.monotonic() - healed
            try:
                with self._database() as connection:
                    unfinished = ledgers.unfinished(connection, healed_seconds_ago=since)
            except psycopg.OperationalError as error:  # it may still be recovering from a kill
                unfinished = [ledgers.Unfinished(since, str(error))]
            if not unfinished or unfinished[0].seconds > REST_SECONDS:
                break
        return [run_or_order.description for run_or_order in unfinished]

    def _evidence(self) -> Evidence:
        log = read_log(self._folder / CUSTOMERS)
        responses = responses_by_visit(log, len(self._plan.visits))
        with self._database() as connection:
            database = ledgers.read_database(connection)
        both_ledgers = Ledgers(database, self._provider.payments())
        return Evidence(self._plan.visits, responses, both_ledgers, self._plan.stock)

    def _broken(self) -> list[tuple[str, str]]:
        """Return what `check_invariants` found during the run, and what it finds now."""
        found = [("during the run", finding) for finding in self._watch.findings]
        ledger = self._system.directory.ledger
        checked = check_invariants(self._system.environment, ledger, capture=True)
        if checked.returncode:
            found.append(("at the end", (checked.stdout + checked.stderr)[-4000:]))
        return found

    def _figures(self, evidence: Evidence) -> dict[str, Any]:
        nemesis = self._nemesis
        last_kill = max(nemesis.postgres_killed_at, default=0.0)
        with self._database() as connection:
            longest = ledgers.longest_run(connection)
        return {
            "disruptions": dict(sorted(nemesis.done.items())),
            "disruptions_missed": dict(sorted(nemesis.missed.items())),
            "messages_disturbed_by_network": nemesis.affected,
            "provider_faults": dict(sorted(self._provider_fault_hits.items())),
            "postgres_kills": len(nemesis.postgres_killed_at),
            "acked_before_last_postgres_kill": sum(
                responses.acked_at is not None and responses.acked_at < last_kill
                for responses in evidence.responses.values()
            ),
            **self._watch.figures(),
            "longest_run_seconds": longest,
        }

    def _database(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self._system.settings["DATABASE_URL"], connect_timeout=5)


def run_plan(
    plan: Plan, folder: Path, *, bug: str | None, tell: Callable[[str], None]
) -> ChaosResult:
    """Run a plan on a fresh system. Leaves traces in ``folder``, and logs in var/chaos/system."""
    with RUN.locked():
        RUN.clear()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        layout = chaos_layout(seed=plan.seed, bug=bug)
        left_out = frozenset({"flower"})
        caller = {**os.environ, **WAIT_SETTINGS}
        with running(RUN, caller, tell=tell, left_out=left_out, layout=layout) as system:
            refuse_unsynced(system)
            result = ChaosRun(system, plan, folder, tell).run()
            tell("Stopping.")
            return result


def refuse_unsynced(system: System) -> None:
    """Raise NotDurable if PostgreSQL may lose commits when it is killed."""
    with psycopg.connect(system.settings["DATABASE_URL"]) as connection:
        for name in ("fsync", "synchronous_commit"):
            row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            if row != ("on",):
                raise NotDurable(name)


def folder_of(seed: int, bug: str | None) -> Path:
    return ROOT / "var" / "chaos" / (f"seed-{seed}" if bug is None else f"seed-{seed}-{bug}")


def conditional(shares: Mapping[str, float]) -> dict[str, float]:
    """Turn shares of all calls into rates of rules that are tried one after the other.

    A rule's rate is its share of the calls that no earlier rule has failed.
    """
    left, rates = 1.0, {}
    for name, share in shares.items():
        rates[name] = round(share / left, 4)
        left -= share
    return rates
