"""One run: a scenario played in a fresh world, struck at one point or at none, and recovered from."""

import zlib
from dataclasses import dataclass
from datetime import timedelta
from typing import IO, Any

from proof import actors
from proof.acts import CLIENTS_PATIENCE, Sweep, Work
from proof.oracle import Finding, examine
from proof.points import Fault, Kind, Mode, Point
from proof.processes import Preparation, Process, ProcessWork, State, Told
from proof.provers import MOST_ROUNDS
from proof.scenarios import Scenario
from proof.world import World

LONGEST_WAIT = timedelta(minutes=15)
"""Three of the longest back-offs. Nothing that a fault leaves behind may wait for longer."""

A_DAY = timedelta(days=1)


@dataclass
class Result:
    """What came of one run.

    ``recovery`` is by the clocks of leases and back-offs, as in production; the work itself takes
    none of that time.
    """

    points: list[Point]
    findings: list[Finding]
    rounds: int
    recovery: timedelta | None = None


class Run:
    """A scenario on its way; what its acts see and move."""

    def __init__(
        self,
        world: World,
        scenario: Scenario,
        token: str,
        log: IO[str],
        *,
        fault: Fault | None = None,
        prepare: Preparation | None = None,
        most_rounds: int = MOST_ROUNDS,
    ) -> None:
        self.world = world
        self.placed: dict[str, str] = {}
        self.held: Process | None = None
        self.paused: Process | None = None
        self._scenario = scenario
        self._token = token
        self._log = log
        self._fault = fault
        self._prepare = prepare
        self._most_rounds = most_rounds
        self._told = Told()
        self._processes: list[Process] = []
        self._asleep: list[Process] = []
        self._findings: list[Finding] = []
        self._rounds = 0
        self._struck_at: timedelta | None = None

    def play(self) -> Result:
        """Play it to its end, recover, wake who slept through it, and look at everything."""
        self.world.begin_anew()
        try:
            for act in self._scenario.acts:
                act.perform(self)
            self._come_to_rest()
            recovery = self.world.elapsed - self._struck_at if self._struck_at is not None else None
            self._wake_the_sleepers()
            points = list(self._told.points)
            self._judge()
            self._check_that_nothing_moves()
        finally:
            for each in self._processes:
                each.end()
        return Result(points, self._findings, self._rounds, recovery)

    # -- for acts ------------------------------------------------------------------------------

    def process(
        self, actor: str, work: ProcessWork, *, pause_before: Kind | None = None
    ) -> Process:
        """Start a process; it carries the fault of this run, until one has been struck."""
        started = Process(
            actor,
            work,
            self._told,
            elapsed=self.world.elapsed,
            fault=None if self._told.struck else self._fault,
            pause_before=pause_before,
            prepare=self._prepare,
            log=self._log.fileno(),
        )
        self._processes.append(started)
        return started

    def ask(self, path: str, body: Any, *, key: str, actor: str = "storefront") -> Any:
        """Send a request, again and again with the same key, until it is accepted."""
        for _ in range(CLIENTS_PATIENCE):
            self._told.answers.clear()
            self.process(actor, actors.request(path, body, token=self._token, key=key)).run()
            self.see_to_the_struck()
            for status, answer in self._told.answers:
                if actors.was_accepted(status):
                    return answer
        self._find("request-never-accepted", f"{path}: {self._told.answers}")
        return None

    def see_to_the_struck(self) -> None:
        """Do what the world does about a process that has just been struck.

        A session that stands still in a transaction is ended. What was not acknowledged is, from
        one point to the next, delivered again at once or lost with the rest of the broker.
        """
        if not self._told.struck or self._struck_at is not None or self._fault is None:
            return
        self._struck_at = self.world.elapsed
        for each in self._processes:
            if each.state is State.ASLEEP:
                self._asleep.append(each)
                if each.session is not None:
                    self.world.cut(each.session)
        if zlib.crc32(f"{self._fault.point} {self._fault.mode}".encode()) % 2:
            self.world.give_up_on_unacknowledged()
        else:
            self.world.flush_broker()

    # -- afterwards ----------------------------------------------------------------------------

    def _come_to_rest(self) -> None:
        """Let time pass, and workers and sweeps work, until no run is under way."""
        if not self.world.is_at_rest() and self.world.has_messages():
            Work().perform(self)
        for _ in range(self._most_rounds):
            if self.world.is_at_rest():
                return
            self._rounds += 1
            wait = self.world.until_next_wake()
            if wait > LONGEST_WAIT:
                self._find("slow-recovery", f"nobody looks for {wait}")
            self.world.let_pass(wait)
            Work().perform(self)
            if self.world.has_overdue_run():
                Sweep().perform(self)
                Work().perform(self)
        self._find("no-rest", f"still at work after {self._most_rounds} rounds")

    def _wake_the_sleepers(self) -> None:
        for each in self._asleep:
            each.go_on()
        if self._asleep:
            self._come_to_rest()

    def _judge(self) -> None:
        """Ask all witnesses: the run itself, the books and the bank's ledger, our own invariants."""
        self._find_what_went_amiss()
        self._findings += examine(self.world, ends=self._scenario.ends, acknowledged=self.placed)
        self._fault = None
        self.process("auditor", actors.audit).run()
        for code, detail in self._told.broken_invariants:
            self._find(code, detail)
        for trace in self._told.broken:
            self._find("process-broke", trace)

    def _find_what_went_amiss(self) -> None:
        """See whether the fault did what it was to do, and nobody wrote outside a transaction."""
        for point in self._told.points:
            if point.kind is Kind.WRITE:
                self._find("write-outside-transaction", str(point))
        if self._fault is None:
            return
        if not self._told.struck:
            self._find("point-not-reached", "the run went another way than the golden one")
        elif self._fault.mode in (Mode.KILL_BEFORE, Mode.KILL_AFTER) and not self._has_killed():
            self._find("not-killed", "the process that was to die lives")

    def _has_killed(self) -> bool:
        return any(each.state is State.KILLED for each in self._processes)

    def _check_that_nothing_moves(self) -> None:
        """Deliver every message of the run once more, a day later, and sweep: all stays as it is."""
        self.world.let_pass(A_DAY)
        before = self.world.everything()
        self.world.queue_again(self._told.queued)
        self.process("everyone", actors.sweep(then=actors.QUEUES)).run()
        after = self.world.everything()
        changed = sorted(set(before) ^ set(after))
        if changed or len(before) != len(after):
            self._find("recovery-not-idempotent", "\n".join(changed))

    def _find(self, kind: str, detail: str) -> None:
        self._findings.append(Finding(kind, detail))
