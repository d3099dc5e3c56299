"""Measures, one part after the other: timers, nudges, and a million waiting runs."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from threading import Event
from typing import Any, Final, NamedTuple

import psycopg
import uvloop

from benchmarks.bench import Check
from benchmarks.figures import CONFIRMED_RATE, CPU, Figures
from benchmarks.waits import rows
from benchmarks.waits.figures import Figure, Machine, beside, percentiles
from benchmarks.waits.plan import WaitsPlan
from benchmarks.waits.throughput import Throughput
from sandbox.process_lifetime import owned_environment
from sandbox.procfile import ROOT
from sandbox.programs import FRONT, WORKERS, Layout
from sandbox.supervision import Program
from sandbox.system import System

SETTINGS: Final = {"DJANGO_SETTINGS_MODULE": "benchmarks.waits.inside.settings"}

LATENESS_MS: Final = 1000
NUDGE_MS: Final = 100
SWEEP_MS: Final = 50
LOSS_PERCENT: Final = 5
"""The aims: of p99, and of the throughput that waiting runs may cost."""

A_DAY: Final = timedelta(days=1)
LATER: Final = 2.6  # seconds between the deadlines of runs that only wait: a million in a month
WARM_UP_NUDGES: Final = 10
PATIENCE_SECONDS: Final = 60  # for timers and nudges that have not ended when they should have

CPU_OF_THE_SYSTEM: Final = f"{CPU}, the system"


def _with_the_sagas(programs: list[Program], *_: object) -> list[Program]:
    """Give the application's processes the settings with the benchmark's sagas."""
    return [
        program._replace(environment={**program.environment, **SETTINGS})
        if program.group in (WORKERS, FRONT)
        else program
        for program in programs
    ]


LAYOUT: Final = Layout(arrange=_with_the_sagas)


class WaitsResult(NamedTuple):
    """Everything that the benchmark measured and checked."""

    figures: list[Figure]
    machines: list[Machine]
    checks: list[Check]
    windows: list[tuple[str, Figures]]  # under load, in turn without and with waiting runs

    @property
    def ok(self) -> bool:
        """Return whether every check passed. An aim that is missed is no failed check."""
        return all(check.ok for check in self.checks)


class WaitsBench:
    """Measures what waits cost on a running system, whose processes have the benchmark's sagas."""

    def __init__(self, system: System, plan: WaitsPlan, tell: Callable[[str], None]) -> None:
        self._system = system
        self._plan = plan
        self._tell = tell
        self._result = WaitsResult([], [], [], [])

    def run(self) -> WaitsResult:
        """Run all parts. Raises NothingConfirmed and ProgramRestarted."""
        url = self._system.settings["DATABASE_URL"]
        with psycopg.connect(url, autocommit=True, application_name="benchmark") as session:
            self._session = session
            if self._plan.timers:
                self._measure_timers()
            if self._plan.nudges:
                self._measure_nudges()
            if self._plan.waiting:
                self._measure_waiting()
            rows.delete_waiting(session)
        return self._result

    def _measure_timers(self) -> None:
        plan, session = self._plan, self._session
        self._tell(f"{plan.timers} timers, {plan.timers_per_second:g} due a second.")
        first = rows.database_time(session) + timedelta(seconds=5 + plan.timers / 5_000)
        spread = rows.Spread(first, 1 / plan.timers_per_second)
        rows.insert_waiting(session, rows.TIMER, plan.timers, spread)
        start = spread.between(rows.database_time(session) + timedelta(seconds=3))
        end = start + timedelta(seconds=plan.timer_seconds)
        with beside("timers", self._result.machines):
            until_end = (end - rows.database_time(session)).total_seconds()
            Event().wait(until_end + LATENESS_MS / 1000)
            late = self._wait_for(lambda: rows.lateness(session, start, end))
        fired = [seconds * 1000 for seconds in late if seconds is not None]
        self._result.figures.extend(percentiles("timers", "lateness", fired, aim=LATENESS_MS))
        self._check("every due timer fired once", len(late), len(fired))
        rows.delete_waiting(session)

    def _measure_nudges(self) -> None:
        plan, session = self._plan, self._session
        self._tell(f"{plan.nudges} nudges, {plan.nudges_per_second:g} a second.")
        count = WARM_UP_NUDGES + plan.nudges
        self._insert_runs_that_only_wait(count)
        subjects = rows.waiting_subjects(session, rows.SIGNAL, count)
        with beside("nudges", self._result.machines):
            committed = self._inside(
                "signalling", {"subject_ids": subjects, "per_second": plan.nudges_per_second}
            )
            ended = self._wait_for(
                lambda: [rows.ended_at(session, subjects).get(subject) for subject in subjects]
            )
        taken = [
            (end - commit) * 1000
            for commit, end in list(zip(committed, ended, strict=True))[WARM_UP_NUDGES:]
            if end is not None
        ]
        name = "commit of the fact to the end of the wait"
        self._result.figures.extend(percentiles("nudges", name, taken, aim=NUDGE_MS))
        self._check("every nudged run went on", plan.nudges, len(taken))
        rows.delete_waiting(session)

    def _measure_waiting(self) -> None:
        plan = self._plan
        load = Throughput(self._system, plan, self._tell)
        for number in range(1, plan.rounds + 1):
            self._tell(f"Round {number} of {plan.rounds}, without waiting runs.")
            rows.delete_waiting(self._session)
            self._window("without", load)
            self._tell(f"Round {number} of {plan.rounds}, with {plan.waiting} waiting runs.")
            self._insert_runs_that_only_wait(plan.waiting)
            self._window("with", load)
        self._compare()
        self._tell(f"{plan.sweeps} sweeps, with {plan.waiting} waiting runs.")
        with beside("sweeps", self._result.machines):
            taken = self._inside("sweeping", {}, str(plan.sweeps))
        self._result.figures.extend(percentiles("waiting runs", "a sweep", taken, aim=SWEEP_MS))
        rows.delete_waiting(self._session)
        self._result.checks.append(load.ledgers_agree())

    def _window(self, kind: str, load: Throughput) -> None:
        with beside(f"load, {kind}", self._result.machines):
            loaded = uvloop.run(load.measure())
        self._result.windows.append((kind, loaded.figures))
        self._result.checks.append(loaded.check)

    def _compare(self) -> None:
        """Add the medians of the windows, and what the waiting runs cost."""
        part, rounds = "waiting runs", self._plan.rounds
        for name, aim in ((CONFIRMED_RATE, LOSS_PERCENT), (CPU_OF_THE_SYSTEM, None)):
            without, among = (
                statistics.median(
                    figures[name] for kind, figures in self._result.windows if kind == wanted
                )
                for wanted in ("without", "with")
            )
            unit = "1/s" if name == CONFIRMED_RATE else "ms"
            change = (without - among) if name == CONFIRMED_RATE else (among - without)
            self._result.figures.extend(
                [
                    Figure(part, f"{name}, without", without, unit, rounds),
                    Figure(part, f"{name}, with", among, unit, rounds),
                    Figure(part, f"{name}, worse by", change / without * 100, "%", rounds, aim),
                ]
            )

    def _insert_runs_that_only_wait(self, count: int) -> None:
        first = rows.database_time(self._session) + A_DAY
        rows.insert_waiting(self._session, rows.SIGNAL, count, rows.Spread(first, LATER))

    def _wait_for(self, read: Callable[[], list[float | None]]) -> list[float | None]:
        """Read until no value is missing, for a minute at most."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while None in (found := read()) and time.monotonic() < deadline:
            Event().wait(0.5)
        return found

    def _inside(self, program: str, options: dict[str, Any], *arguments: str) -> list[float]:
        """Run a program with the application's settings, and return the numbers that it prints."""
        finished = subprocess.run(
            [sys.executable, "-m", f"benchmarks.waits.inside.{program}", *arguments],
            cwd=ROOT,
            env=owned_environment({**self._system.environment, **SETTINGS, "PGAPPNAME": program}),
            input=json.dumps(options),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        numbers: list[float] = json.loads(finished.stdout)
        return numbers

    def _check(self, name: str, expected: int, found: int) -> None:
        self._result.checks.append(Check(name, expected == found, f"{found} of {expected}"))
