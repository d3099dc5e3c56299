"""What the acts of a scenario work with: the world, and the processes that run in it."""

import zlib
from datetime import timedelta
from typing import IO, Any

from proof import actors
from proof.jobs import Finding
from proof.points import Fault, Kind
from proof.processes import Preparation, Process, ProcessWork, RunLog, State
from proof.world import World

REQUESTS_AT_MOST = 5
"""How often a client sends a request before the proof reports that it is never accepted."""


class Stage:
    """One run in progress: its world, its processes, and the fault that it waits for."""

    def __init__(
        self,
        world: World,
        token: str,
        log: IO[str],
        *,
        fault: Fault | None = None,
        prepare: Preparation | None = None,
    ) -> None:
        self.world = world
        self.placed: dict[str, str] = {}
        """The order id that each customer was given."""
        self.held: Process | None = None
        """The worker whose call an outside service holds."""
        self.paused: Process | None = None
        """The sweep that waits before its commit."""
        self.hanging: list[Process] = []
        self.processes: list[Process] = []
        self.findings: list[Finding] = []
        self.run_log = RunLog()
        self.triggered_at: timedelta | None = None
        self.fault = fault
        self._token = token
        self._log = log
        self._prepare = prepare

    def process(
        self, actor: str, work: ProcessWork, *, pause_before: Kind | None = None
    ) -> Process:
        """Start a process; it carries the fault of this run, unless that was triggered already."""
        started = Process(
            actor,
            work,
            self.run_log,
            elapsed=self.world.elapsed,
            fault=None if self.run_log.fault_triggered else self.fault,
            pause_before=pause_before,
            prepare=self._prepare,
            log=self._log.fileno(),
        )
        self.processes.append(started)
        return started

    def run_process(
        self, actor: str, work: ProcessWork, *, pause_before: Kind | None = None
    ) -> Process:
        """Start a process, run it until it ends, pauses or hangs, and handle its fault."""
        started = self.process(actor, work, pause_before=pause_before)
        started.run()
        self.handle_fault()
        return started

    def ask(self, path: str, body: Any, *, key: str, actor: str = "storefront") -> Any:
        """Send a request, again and again with the same key, until it is accepted."""
        for _ in range(REQUESTS_AT_MOST):
            self.run_log.answers.clear()
            self.run_process(actor, actors.request(path, body, token=self._token, key=key))
            for status, answer in self.run_log.answers:
                if actors.was_accepted(status):
                    return answer
        self.find("request-never-accepted", f"{path}: {self.run_log.answers}")
        return None

    def handle_fault(self) -> None:
        """Do what the servers around a process do once its fault was triggered.

        A session that hangs in a transaction is ended. Unacknowledged messages are, from one point
        to the next, delivered again at once or lost with everything else in the broker.
        """
        has_just_happened = self.run_log.fault_triggered and self.triggered_at is None
        if not has_just_happened or self.fault is None:
            return
        self.triggered_at = self.world.elapsed
        for process in self.processes:
            if process.state is State.HANGING:
                self.hanging.append(process)
                if process.session is not None:
                    self.world.cut(process.session)
        if zlib.crc32(f"{self.fault.point} {self.fault.mode}".encode()) % 2:
            self.world.give_up_on_unacknowledged()
        else:
            self.world.flush_broker()

    def find(self, kind: str, detail: str) -> None:
        self.findings.append(Finding(kind, detail))

    def end(self) -> None:
        """Kill every process that is left."""
        for process in self.processes:
            process.end()
