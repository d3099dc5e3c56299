"""The stage: what the acts of a scenario use, namely the world and its processes."""

import zlib
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import IO, Any

from proof import actors
from proof.jobs import MAX_ROUNDS, Finding
from proof.points import Fault, Kind
from proof.processes import Preparation, Process, ProcessWork, RunLog, State
from proof.tokens import Tokens
from proof.world import World

LONGEST_WAIT = timedelta(minutes=15)
"""Three times the longest back-off, and the time that customers have to pay.

A saga run that waits longer after a fault is a finding.
"""

MAX_REQUESTS = 5
"""A client sends a request this often; then "request-never-accepted" is a finding."""


class Stage:
    """One run in progress: its world, its processes, and its fault, which may still be due."""

    def __init__(
        self,
        world: World,
        tokens: Tokens,
        log: IO[str],
        *,
        fault: Fault | None = None,
        prepare: Preparation | None = None,
        max_rounds: int = MAX_ROUNDS,
    ) -> None:
        self.world = world
        self.tokens = tokens
        self.order_ids: dict[str, str] = {}
        """The order id in each customer's response."""
        self.slow_worker: Process | None = None
        """The worker whose call an outside service delays."""
        self.paused_sweep: Process | None = None
        """The sweep that waits before its commit."""
        self.hanging: list[Process] = []
        self.processes: list[Process] = []
        self.findings: list[Finding] = []
        self.run_log = RunLog()
        self.triggered_at: timedelta | None = None
        """When the fault was triggered, by ``recovery_clock``."""
        self.fault = fault
        self.rounds = 0
        """How many rounds of waiting and working the run took so far."""
        self._passed_by_acts = timedelta()
        self._max_rounds = max_rounds
        self._log = log
        self._prepare = prepare

    def start_process(
        self, actor: str, work: ProcessWork, *, pause_before: Kind | None = None
    ) -> Process:
        """Start a process. It triggers the run's fault unless that has happened already."""
        process = Process(
            actor,
            work,
            self.run_log,
            elapsed=self.world.elapsed,
            fault=None if self.run_log.fault_triggered else self.fault,
            pause_before=pause_before,
            prepare=self._prepare,
            log=self._log.fileno(),
        )
        self.processes.append(process)
        return process

    def run_process(
        self, actor: str, work: ProcessWork, *, pause_before: Kind | None = None
    ) -> Process:
        """Start a process, run it until it ends, pauses or hangs, and react to its fault."""
        process = self.start_process(actor, work, pause_before=pause_before)
        process.run()
        self.react_to_fault()
        return process

    def pass_time(self, time: timedelta) -> None:
        """Advance time as an act of the scenario, which is no time of a recovery."""
        self.world.advance_time(time)
        self._passed_by_acts += time

    @property
    def recovery_clock(self) -> timedelta:
        """The time that has passed in leases, back-offs and sweeps, without that of the acts."""
        return self.world.elapsed - self._passed_by_acts

    def work_until(self, is_reached: Callable[[], bool]) -> None:
        """Advance time, and start workers and sweeps, until something is reached.

        Adds a finding if it is not reached within the allowed rounds.
        """
        if not is_reached() and self.world.has_messages():
            self.run_process("worker", actors.worker())
        for _ in range(self._max_rounds):
            if is_reached():
                return
            self.rounds += 1
            wait = self.world.until_next_wake()
            if wait > LONGEST_WAIT:
                self.add_finding("slow-recovery", f"no run is due for {wait}")
            self.world.advance_time(wait)
            self._run_worker()
            if self.world.has_overdue_run():
                self.run_process("sweep", actors.sweep())
                self._run_worker()
        self.add_finding("not-at-rest", f"still at work after {self._max_rounds} rounds")

    def _run_worker(self) -> None:
        """Run a worker, unless the broker has no message at all: then it would do nothing."""
        if self.world.has_messages() or self.world.has_unacknowledged():
            self.run_process("worker", actors.worker())

    def post(
        self,
        path: str,
        body: Any,
        *,
        key: str,
        actor: str = "storefront",
        token: str = "",
        may_be_refused: bool = False,
    ) -> Any:
        """Send a request, and repeat it with the same key until it is accepted.

        Returns the content of the response; None, with a finding, if it is never accepted. With
        ``may_be_refused`` a conflict with the order's state (409) ends the request without a finding.
        """
        token = token or self.tokens.customer
        for _ in range(MAX_REQUESTS):
            self.run_log.responses.clear()
            self.run_process(actor, actors.request(path, body, token=token, key=key))
            for status, content in self.run_log.responses:
                if actors.was_accepted(status):
                    return content
                if may_be_refused and status == HTTPStatus.CONFLICT:
                    return None
        self.add_finding("request-never-accepted", f"{path}: {self.run_log.responses}")
        return None

    def react_to_fault(self) -> None:
        """Play the reaction of PostgreSQL and Redis once, after the fault was triggered.

        Ends a session that hangs in a transaction. Unacknowledged messages are delivered again at
        once, or lost with everything else in the broker; the fault's name decides which.
        """
        has_just_happened = self.run_log.fault_triggered and self.triggered_at is None
        if not has_just_happened or self.fault is None:
            return
        self.triggered_at = self.recovery_clock
        for process in self.processes:
            if process.state is State.HANGING:
                self.hanging.append(process)
                if process.session is not None:
                    self.world.end_session(process.session)
        if zlib.crc32(f"{self.fault.point} {self.fault.mode}".encode()) % 2:
            self.world.expire_unacknowledged()
        else:
            self.world.flush_broker()

    def add_finding(self, kind: str, detail: str) -> None:
        self.findings.append(Finding(kind, detail))

    def end(self) -> None:
        """Kill every process that is still alive."""
        for process in self.processes:
            process.end()
