"""One run: plays a scenario in a fresh world with at most one fault, recovers, and checks it."""

import traceback
from datetime import timedelta
from functools import partial
from typing import IO

from django.conf import settings
from django.test import override_settings

from proof import actors
from proof.jobs import MAX_ROUNDS, Result
from proof.oracle import examine
from proof.points import Fault, Kind, Mode
from proof.processes import Preparation, State
from proof.prover_process import application_in_prover
from proof.scenarios import ORDER_EFFECTS, Scenario
from proof.stage import Stage
from proof.tokens import Tokens
from proof.world import World

A_DAY = timedelta(days=1)


class Run:
    """A scenario in progress."""

    def __init__(
        self,
        world: World,
        scenario: Scenario,
        tokens: Tokens,
        log: IO[str],
        *,
        fault: Fault | None = None,
        prepare: Preparation | None = None,
        max_rounds: int = MAX_ROUNDS,
    ) -> None:
        self._world = world
        self._scenario = scenario
        self._stage = Stage(
            world,
            tokens,
            log,
            fault=fault,
            prepare=partial(_prepare, scenario, prepare),
            max_rounds=max_rounds,
        )

    def play(self) -> Result:
        """Play the scenario, recover, resume hanging processes, and check everything."""
        self._world.reset()
        try:
            for act in self._scenario.acts:
                act.perform(self._stage)
            self._come_to_rest()
            triggered_at, clock = self._stage.triggered_at, self._stage.recovery_clock
            recovery = clock - triggered_at if triggered_at is not None else None
            self._resume_hanging()
            points = list(self._stage.run_log.points)
            self._check_outcome()
            self._check_that_nothing_changes()
        finally:
            self._stage.end()
        return Result(points, self._stage.findings, self._stage.rounds, recovery)

    def _come_to_rest(self) -> None:
        """Advance time, and start workers and sweeps, until every saga run has ended."""
        self._stage.work_until(self._world.is_at_rest)

    def _resume_hanging(self) -> None:
        for process in self._stage.hanging:
            process.resume()
        if self._stage.hanging:
            self._come_to_rest()

    def _check_outcome(self) -> None:
        """Check the run itself, our tables, the outside services' records, and our invariants."""
        stage = self._stage
        self._check_fault()
        stage.findings += examine(
            self._world,
            ends=self._scenario.allowed_ends(with_fault=stage.fault is not None),
            acknowledged=stage.order_ids,
            expected_effects=self._scenario.expected_effects,
            order_effects=ORDER_EFFECTS,
        )
        stage.fault = None
        self._audit()
        for trace in stage.run_log.broken:
            stage.add_finding("process-broke", trace)

    def _audit(self) -> None:
        """Check the invariants here: the audit only reads, and has no fault points. No bug is seeded here."""
        try:
            with override_settings(**self._scenario.settings), application_in_prover():
                violations = actors.audit()
        except Exception:  # noqa: BLE001 - the finding has the trace
            violations = [("process-broke", f"auditor: {traceback.format_exc()}")]
        for code, detail in violations:
            self._stage.add_finding(code, detail)

    def _check_fault(self) -> None:
        """Check that the fault happened as planned, and that no write was outside a transaction."""
        stage = self._stage
        for point in stage.run_log.points:
            if point.kind is Kind.WRITE:
                stage.add_finding("write-outside-transaction", str(point))
        if stage.fault is None:
            return
        if not stage.run_log.fault_triggered:
            stage.add_finding("point-not-reached", "the run differs from the golden run")
        elif stage.fault.mode in (Mode.KILL_BEFORE, Mode.KILL_AFTER) and not self._has_killed():
            stage.add_finding("not-killed", "the process survived its fault")

    def _has_killed(self) -> bool:
        return any(process.state is State.KILLED for process in self._stage.processes)

    def _check_that_nothing_changes(self) -> None:
        """A day later deliver every message of the run again, and sweep: no row may change."""
        self._world.advance_time(A_DAY)
        before = self._world.dump()
        self._world.requeue(self._stage.run_log.queued)
        self._stage.start_process("everyone", actors.sweep(then=actors.QUEUES)).run()
        after = self._world.dump()
        changed = sorted(set(before) ^ set(after))
        if changed or len(before) != len(after):
            self._stage.add_finding("recovery-not-idempotent", "\n".join(changed))


def _prepare(scenario: Scenario, prepare: Preparation | None) -> None:
    """Prepare a process of the run: the settings of its scenario, and the seeded bug, if any."""
    for name, value in scenario.settings.items():
        setattr(settings, name, value)
    if prepare is not None:
        prepare()
