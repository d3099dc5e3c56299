"""Processes of a run: forked from one warm parent, so that a SIGKILL is as real as it is cheap."""

import gc
import os
import random
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto
from importlib import import_module
from multiprocessing import Pipe
from typing import Any

from proof.boundaries import publish_what_waits, wrap_all
from proof.points import Fault, Kind, Point, Tripwire
from sandbox.process_lifetime import ask_kernel_for_death_signal

DEADLINE_SECONDS = 60.0
"""Longer than any process of a run takes: one that is silent for so long is stuck."""


class State(Enum):
    """What a process was last seen at."""

    RUNNING = auto()
    PAUSED = auto()  # by the scenario, before a point
    ASLEEP = auto()  # by a fault, until it is woken
    ENDED = auto()
    KILLED = auto()
    STUCK = auto()
    BROKEN = auto()  # it raised what no real process would have survived


@dataclass
class Told:
    """What a run's processes have said so far, all together."""

    passed: Counter[tuple[str, ...]] = field(default_factory=Counter)
    points: list[Point] = field(default_factory=list)
    queued: list[tuple[str, str]] = field(default_factory=list)
    answers: list[tuple[int, Any]] = field(default_factory=list)
    struck: bool = False
    broken: list[str] = field(default_factory=list)
    broken_invariants: list[tuple[str, str]] = field(default_factory=list)

    def hear(self, actor: str, message: tuple[Any, ...]) -> None:
        """Keep what a process says of the run."""
        match message:
            case ("point", point):
                self.points.append(point)
                self.passed[point.actor, point.task, point.kind.value, point.label] += 1
            case ("queued", queue, text):
                self.queued.append((queue, text))
            case ("struck",):
                self.struck = True
            case ("answer", status, body):
                self.answers.append((status, body))
            case ("broken", trace):
                self.broken.append(f"{actor}: {trace}")
            case ("invariant", code, detail):
                self.broken_invariants.append((code, detail))


ProcessWork = Callable[[Tripwire], None]
Preparation = Callable[[], None]


class Process:
    """One storefront, worker or sweep; it is seen only through what it tells."""

    def __init__(
        self,
        actor: str,
        work: ProcessWork,
        told: Told,
        *,
        elapsed: timedelta = timedelta(),
        fault: Fault | None = None,
        pause_before: Kind | None = None,
        prepare: Preparation | None = None,
        log: int = 2,
    ) -> None:
        self.actor = actor
        self.state = State.RUNNING
        self.session: int | None = None
        self._told = told
        self._wire, theirs = Pipe()
        passed = Counter({key: count for key, count in told.passed.items() if key[0] == actor})
        sys.stdout.flush()
        self._pid = os.fork()
        if self._pid == 0:
            tripwire = Tripwire(
                actor, passed, fault, theirs, elapsed=elapsed, pause_before=pause_before
            )
            _live(work, tripwire, prepare, log)
        theirs.close()

    def run(self, until: Callable[[], bool] = lambda: False) -> State:
        """Listen until the process ends, stands still, or ``until`` says so."""
        waited = 0.0
        while self.state is State.RUNNING and not until():
            if self._wire.poll(LISTEN_SECONDS):
                self._hear()
                waited = 0.0
                continue
            waited += LISTEN_SECONDS
            if waited > DEADLINE_SECONDS:
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)
                self.state = State.STUCK
                self._told.broken.append(f"{self.actor} did not end")
        return self.state

    def go_on(self) -> State:
        """Wake it, and listen again."""
        self.state = State.RUNNING
        self._wire.send("go on")
        return self.run()

    def end(self) -> None:
        """Kill it, wherever it is."""
        if self.state in (State.RUNNING, State.PAUSED, State.ASLEEP):
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self.state = State.KILLED
        self._wire.close()

    def _hear(self) -> None:
        try:
            message = self._wire.recv()
        except EOFError:
            self._reap()
            return
        match message:
            case ("paused", session):
                self.state, self.session = State.PAUSED, session
            case ("asleep", session):
                self.state, self.session = State.ASLEEP, session
            case ("loaded", modules):
                keep_warm(modules)
            case _:
                self._told.hear(self.actor, message)

    def _reap(self) -> None:
        _, status = os.waitpid(self._pid, 0)
        ends = {0: State.ENDED, -signal.SIGKILL: State.KILLED}
        self.state = ends.get(os.waitstatus_to_exitcode(status), State.BROKEN)


LISTEN_SECONDS = 0.002
"""How often a condition is looked at that no process tells of."""


def keep_warm(modules: Iterable[str] = ()) -> None:
    """Load what a child had to load, so that the next need not; forking copies little of it."""
    for name in modules:
        import_module(name)
    gc.collect()
    gc.freeze()


def _live(work: ProcessWork, tripwire: Tripwire, prepare: Preparation | None, log: int) -> None:
    """Be the child: do the work and end as a process does that nobody strikes."""
    status = 1
    known = set(sys.modules)
    try:
        ask_kernel_for_death_signal(signal.SIGKILL)
        os.dup2(log, 2)
        random.seed(0)
        if prepare is not None:
            prepare()
        wrap_all(tripwire)
        work(tripwire)
        publish_what_waits()
        if loaded := sorted(set(sys.modules) - known):
            tripwire.tell("loaded", loaded)
        status = 0
    except BaseException:  # noqa: BLE001 - told to the parent, which makes a finding of it
        tripwire.tell("broken", traceback.format_exc())
    finally:
        os._exit(status)
