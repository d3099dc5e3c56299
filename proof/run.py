"""One run: a scenario played in a fresh world, with one fault or none, recovered from, and checked."""

from datetime import timedelta
from typing import IO

from proof import actors
from proof.acts import Sweep, Work
from proof.jobs import MOST_ROUNDS, Result
from proof.oracle import examine
from proof.points import Fault, Kind, Mode
from proof.processes import Preparation, State
from proof.scenarios import Scenario
from proof.stage import Stage
from proof.world import World

LONGEST_WAIT = timedelta(minutes=15)
"""Three of the longest back-offs. No run may wait longer after a fault."""

A_DAY = timedelta(days=1)


class Run:
    """A scenario in progress."""

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
        self._world = world
        self._scenario = scenario
        self._stage = Stage(world, token, log, fault=fault, prepare=prepare)
        self._most_rounds = most_rounds
        self._rounds = 0

    def play(self) -> Result:
        """Play the scenario, recover, have hanging processes go on, and check everything."""
        self._world.begin_anew()
        try:
            for act in self._scenario.acts:
                act.perform(self._stage)
            self._come_to_rest()
            began = self._stage.triggered_at
            recovery = self._world.elapsed - began if began is not None else None
            self._resume_hanging()
            points = list(self._stage.run_log.points)
            self._check_outcome()
            self._check_that_nothing_changes()
        finally:
            self._stage.end()
        return Result(points, self._stage.findings, self._rounds, recovery)

    def _come_to_rest(self) -> None:
        """Let time pass, and workers and sweeps work, until every run has ended."""
        if not self._world.is_at_rest() and self._world.has_messages():
            Work().perform(self._stage)
        for _ in range(self._most_rounds):
            if self._world.is_at_rest():
                return
            self._rounds += 1
            wait = self._world.until_next_wake()
            if wait > LONGEST_WAIT:
                self._stage.find("slow-recovery", f"no process looks for {wait}")
            self._world.let_pass(wait)
            Work().perform(self._stage)
            if self._world.has_overdue_run():
                Sweep().perform(self._stage)
                Work().perform(self._stage)
        self._stage.find("no-rest", f"still at work after {self._most_rounds} rounds")

    def _resume_hanging(self) -> None:
        for process in self._stage.hanging:
            process.go_on()
        if self._stage.hanging:
            self._come_to_rest()

    def _check_outcome(self) -> None:
        """Check the run itself, our tables, the outside services' records, and our invariants."""
        stage = self._stage
        self._check_fault()
        stage.findings += examine(
            self._world,
            ends=self._scenario.ends,
            acknowledged=stage.placed,
            outside_acts=self._scenario.outside_acts,
        )
        stage.fault = None
        stage.process("auditor", actors.audit).run()
        for code, detail in stage.run_log.broken_invariants:
            stage.find(code, detail)
        for trace in stage.run_log.broken:
            stage.find("process-broke", trace)

    def _check_fault(self) -> None:
        """Check that the fault happened as planned, and that no write was outside a transaction."""
        stage = self._stage
        for point in stage.run_log.points:
            if point.kind is Kind.WRITE:
                stage.find("write-outside-transaction", str(point))
        if stage.fault is None:
            return
        if not stage.run_log.fault_triggered:
            stage.find("point-not-reached", "the run went another way than the golden one")
        elif stage.fault.mode in (Mode.KILL_BEFORE, Mode.KILL_AFTER) and not self._has_killed():
            stage.find("not-killed", "the process that was to die lives")

    def _has_killed(self) -> bool:
        return any(process.state is State.KILLED for process in self._stage.processes)

    def _check_that_nothing_changes(self) -> None:
        """Deliver every message of the run once more, a day later, and sweep: no row may change."""
        self._world.let_pass(A_DAY)
        before = self._world.everything()
        self._world.queue_again(self._stage.run_log.queued)
        self._stage.process("everyone", actors.sweep(then=actors.QUEUES)).run()
        after = self._world.everything()
        changed = sorted(set(before) ^ set(after))
        if changed or len(before) != len(after):
            self._stage.find("recovery-not-idempotent", "\n".join(changed))
