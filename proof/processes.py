"""Processes of a run, forked from one warm parent, so that a real SIGKILL costs little time."""

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
from itertools import islice
from multiprocessing import Pipe
from typing import Any

from proof.boundaries import publish_pending, wrap_all
from proof.fault_injector import FaultInjector
from proof.points import Fault, Kind, Point
from sandbox.process_lifetime import ask_kernel_for_death_signal

DEADLINE_SECONDS = 60.0
"""Longer than any process of a run takes: a process that is silent for longer is stuck."""


class State(Enum):
    """The last known state of a process."""

    RUNNING = auto()
    PAUSED = auto()  # by the scenario, before a point
    HANGING = auto()  # by a fault, until the parent resumes it
    ENDED = auto()
    KILLED = auto()
    STUCK = auto()
    BROKEN = auto()  # it raised an error that would have ended a real process


@dataclass
class RunLog:
    """All reports of a run's processes so far."""

    passed: Counter[tuple[str, ...]] = field(default_factory=Counter)
    points: list[Point] = field(default_factory=list)
    queued: list[tuple[str, str]] = field(default_factory=list)
    responses: list[tuple[int, Any]] = field(default_factory=list)
    fault_triggered: bool = False
    broken: list[str] = field(default_factory=list)

    def add(self, actor: str, message: tuple[Any, ...]) -> None:
        """Add one report of a process."""
        match message:
            case ("point", point):
                self.points.append(point)
                self.passed[point.actor, point.task, point.kind.value, point.label] += 1
            case ("queued", queue, text):
                self.queued.append((queue, text))
            case ("triggered",):
                self.fault_triggered = True
            case ("response", status, body):
                self.responses.append((status, body))
            case ("broken", trace):
                self.broken.append(f"{actor}: {trace}")


ProcessWork = Callable[[FaultInjector], None]
Preparation = Callable[[], None]


class Process:
    """One storefront, worker or sweep process. It starts at once; the run sees only its reports."""

    def __init__(
        self,
        actor: str,
        work: ProcessWork,
        run_log: RunLog,
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
        self._run_log = run_log
        self._pipe, theirs = Pipe()
        passed = Counter({key: count for key, count in run_log.passed.items() if key[0] == actor})
        sys.stdout.flush()
        self._pid = os.fork()
        if self._pid == 0:
            injector = FaultInjector(
                actor, passed, fault, theirs, elapsed=elapsed, pause_before=pause_before
            )
            _run_child(work, injector, prepare, log)
        theirs.close()

    def run(self, until: Callable[[], bool] | None = None) -> State:
        """Receive reports until the process ends, pauses or hangs, or ``until`` returns true."""
        interval = DEADLINE_SECONDS if until is None else POLL_SECONDS
        silent_seconds = 0.0
        while self.state is State.RUNNING and not (until and until()):
            if self._pipe.poll(interval):
                self._receive()
                silent_seconds = 0.0
                continue
            silent_seconds += interval
            if silent_seconds >= DEADLINE_SECONDS:
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)
                self.state = State.STUCK
                self._run_log.broken.append(f"{self.actor} did not end")
        return self.state

    def resume(self) -> State:
        """Make a paused or hanging process continue, and receive its reports again."""
        self.state = State.RUNNING
        self._pipe.send("resume")
        return self.run()

    def end(self) -> None:
        """Kill the process if it is still alive."""
        if self.state in (State.RUNNING, State.PAUSED, State.HANGING):
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self.state = State.KILLED
        self._pipe.close()

    def _receive(self) -> None:
        try:
            message = self._pipe.recv()
        except EOFError:
            self._reap()
            return
        match message:
            case ("paused", session):
                self.state, self.session = State.PAUSED, session
            case ("hanging", session):
                self.state, self.session = State.HANGING, session
            case ("loaded", modules):
                keep_warm(modules)
            case _:
                self._run_log.add(self.actor, message)

    def _reap(self) -> None:
        _, status = os.waitpid(self._pid, 0)
        states = {0: State.ENDED, -signal.SIGKILL: State.KILLED}
        self.state = states.get(os.waitstatus_to_exitcode(status), State.BROKEN)


POLL_SECONDS = 0.002
"""The interval at which ``until`` is checked: no report comes when it becomes true."""


def keep_warm(modules: Iterable[str] = ()) -> None:
    """Load the modules that a child had to load, so that later children have them already."""
    for name in modules:
        import_module(name)
    gc.collect()
    gc.freeze()


def _run_child(
    work: ProcessWork, injector: FaultInjector, prepare: Preparation | None, log: int
) -> None:
    """Run in the child: do the work, publish pending messages, and exit with status 0."""
    status = 1
    loaded_before = len(sys.modules)
    try:
        ask_kernel_for_death_signal(signal.SIGKILL)
        os.dup2(log, 2)
        random.seed(0)
        if prepare is not None:
            prepare()
        wrap_all(injector)
        work(injector)
        publish_pending()
        if loaded := _newest_modules(len(sys.modules) - loaded_before):
            injector.report("loaded", loaded)
        status = 0
    except BaseException:  # noqa: BLE001 - the parent turns the report into a finding
        injector.report("broken", traceback.format_exc())
    finally:
        os._exit(status)


def _newest_modules(count: int) -> list[str]:
    """Return the modules that were loaded last. Touches no other: each would copy a page of memory."""
    return list(islice(reversed(sys.modules), count))[::-1]
