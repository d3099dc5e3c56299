"""One chaos run: start, load and nemesis together, heal, wait for every order's end, compare."""

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
from proof.chaos.history import History, conversations, read
from proof.chaos.layout import chaos_layout
from proof.chaos.ledgers import Ledgers
from proof.chaos.nemesis import Nemesis
from proof.chaos.plan import BANK_FAULTS, BANK_LATENCY_MS, Plan
from proof.chaos.watch import Watch
from sandbox.drive.deadlines import StopSignal
from sandbox.drive.provider_faults import ProviderSandbox
from sandbox.procfile import ROOT
from sandbox.reconciliation import check_invariants
from sandbox.run_directory import RunDirectory
from sandbox.system import SupervisorGone, System, running

RUN: Final = RunDirectory("chaos/system", published="var/chaos/system/up.json")
REST_SECONDS: Final = 120
"""How long after the healing every order must have ended; one that came later, after it came."""
FAREWELL_SECONDS: Final = 120
LONGEST_REST_SECONDS: Final = REST_SECONDS + FAREWELL_SECONDS
PROGRAMS_SECONDS: Final = 60
CUSTOMERS: Final = "customers.jsonl"


class NotDurable(Exception):
    """PostgreSQL does not sync its commits: surviving a kill would prove nothing."""

    def __init__(self, setting: str) -> None:
        super().__init__(f"PostgreSQL runs with {setting} off: surviving a kill proves nothing")


class Outcome(NamedTuple):
    """What came of a run, before anything is judged."""

    evidence: Evidence
    unfinished: list[str]  # what had no end after REST_SECONDS
    rest_seconds: float  # from the healing to the last end
    broken: list[tuple[str, str]]  # when the application's own check found what
    figures: Mapping[str, Any]


class Trial:
    """A plan on a running system."""

    def __init__(
        self, system: System, plan: Plan, folder: Path, tell: Callable[[str], None]
    ) -> None:
        self._system = system
        self._plan = plan
        self._folder = folder
        self._tell = tell
        if system.stripe_url is None:
            raise ValueError("chaos needs a bank of its own")
        self._bank_controls = f"{system.stripe_url}/_sandbox"
        self._bank = ProviderSandbox(system.stripe_url, system.directory.ledger, StopSignal())

    def run(self) -> Outcome:
        with self._database() as connection:
            ledgers.put_on_shelves(connection, self._plan.stock)
        self._tell(
            f"{len(self._plan.errands)} customers and {len(self._plan.actions)} deeds "
            f"in {self._plan.seconds:g} s."
        )
        self._began = time.monotonic()
        self._nemesis = Nemesis(
            self._system, self._plan.seed, self._folder / "nemesis.jsonl", self._began
        )
        log = self._folder / "watch.jsonl"
        with (
            Watch(self._system.environment, log, self._began) as self._watch,
            History(self._folder / CUSTOMERS, self._began) as history,
        ):
            customers = Customers(
                self._system.base_url,
                self._system.customer_token,
                history,
                seed=self._plan.seed,
                patience_seconds=self._plan.seconds + REST_SECONDS + FAREWELL_SECONDS,
            )
            with self._failing_bank():
                self._rage(customers)
            healed = time.monotonic()
            self._tell("Healed. Waiting for every order's end.")
            unfinished = self._await_programs() + self._await_rest(healed)
            rested = time.monotonic()
            customers.finish(FAREWELL_SECONDS)
            if not unfinished:
                unfinished = self._await_rest(healed)  # what was ordered last
        evidence = self._evidence()
        return Outcome(
            evidence, unfinished, rested - healed, self._broken(), self._figures(evidence)
        )

    def _rage(self, customers: Customers) -> None:
        """Return when the time is up, the last customer has come, and all deeds are undone."""
        actions = self._plan.actions
        raging = threading.Thread(target=self._nemesis.work, args=(actions,), daemon=True)
        raging.start()
        try:
            customers.arrive(self._plan.errands, self._began)
            raging.join(max(0.0, self._began + self._plan.seconds - time.monotonic()))
        finally:  # also when the run is called off: what is stopped could not be stopped in order
            self._nemesis.stop()
            raging.join()
            self._nemesis.heal()

    @contextmanager
    def _failing_bank(self) -> Iterator[None]:
        """Let the bank fail meanwhile, and count how often it did."""
        for fault, rate in conditional(BANK_FAULTS).items():
            latency = BANK_LATENCY_MS if fault == "latency" else 0
            self._control("POST", {"fault": fault, "rate": rate, "latency_ms": latency})
        yield
        self._bank_hits = {rule["fault"]: rule["hits"] for rule in self._control("GET")["rules"]}
        self._control("DELETE")

    def _control(self, method: str, body: object = None) -> dict[str, Any]:
        url = f"{self._bank_controls}/faults"
        answer = urllib3.request(method, url, json=body, timeout=10, retries=False)
        content: dict[str, Any] = answer.json()
        return content

    def _await_programs(self) -> list[str]:
        """Wait until the supervisor has everything running again; say what is not."""
        down = ["supervisord does not answer"]
        for _ in StopSignal().attempts(PROGRAMS_SECONDS, pause=0.1, longest=0.5):
            if self._system.supervisor.has_ended():
                raise SupervisorGone
            statuses = self._system.supervisor.statuses()
            down = [f"{name} is down" for name, each in statuses.items() if not each.running]
            if statuses and not down:
                break
        return down

    def _await_rest(self, healed: float) -> list[str]:
        """Wait until no run is under way; say what still is after its time is up."""
        left: list[ledgers.Unfinished] = []
        for _ in StopSignal().attempts(LONGEST_REST_SECONDS, pause=0.2, longest=0.5):
            since = time.monotonic() - healed
            try:
                with self._database() as connection:
                    left = ledgers.unfinished(connection, healed_seconds_ago=since)
            except psycopg.OperationalError as error:  # it may still be recovering from a kill
                left = [ledgers.Unfinished(since, str(error))]
            if not left or left[0].seconds > REST_SECONDS:
                break
        return [each.what for each in left]

    def _evidence(self) -> Evidence:
        told = conversations(read(self._folder / CUSTOMERS), len(self._plan.errands))
        with self._database() as connection:
            database = ledgers.read_database(connection)
        both = Ledgers(database, self._bank.payments())
        return Evidence(self._plan.errands, told, both, self._plan.stock)

    def _broken(self) -> list[tuple[str, str]]:
        """Ask the application's own check too, under way and at the end."""
        found = [("under way", said) for said in self._watch.findings]
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
            "deeds": dict(sorted(nemesis.done.items())),
            "deeds_missed": dict(sorted(nemesis.missed.items())),
            "messages_struck_by_the_network": nemesis.struck,
            "bank_faults": dict(sorted(self._bank_hits.items())),
            "postgres_kills": len(nemesis.postgres_killed_at),
            "acked_before_the_last_of_them": sum(
                each.acked_at is not None and each.acked_at < last_kill
                for each in evidence.told.values()
            ),
            **self._watch.figures(),
            "longest_run_seconds": longest,
        }

    def _database(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self._system.settings["DATABASE_URL"], connect_timeout=5)


def try_it(plan: Plan, folder: Path, *, bug: str | None, tell: Callable[[str], None]) -> Outcome:
    """Run a plan on a fresh system; its traces stay in ``folder``, its logs in var/chaos/system."""
    with RUN.locked():
        RUN.clear()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        layout = chaos_layout(seed=plan.seed, bug=bug)
        left_out = frozenset({"flower"})
        with running(RUN, os.environ, tell=tell, left_out=left_out, layout=layout) as system:
            refuse_unsynced(system)
            outcome = Trial(system, plan, folder, tell).run()
            tell("Stopping.")
            return outcome


def refuse_unsynced(system: System) -> None:
    """Raise NotDurable where a commit could be lost without anybody's fault."""
    with psycopg.connect(system.settings["DATABASE_URL"]) as connection:
        for name in ("fsync", "synchronous_commit"):
            row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            if row != ("on",):
                raise NotDurable(name)


def folder_of(seed: int, bug: str | None) -> Path:
    return ROOT / "var" / "chaos" / (f"seed-{seed}" if bug is None else f"seed-{seed}-{bug}")


def conditional(shares: Mapping[str, float]) -> dict[str, float]:
    """Turn shares of all calls into each rule's chance when the rules before it did not strike."""
    left, rates = 1.0, {}
    for name, share in shares.items():
        rates[name] = round(share / left, 4)
        left -= share
    return rates
