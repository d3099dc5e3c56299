"""Hunts the seeded bugs: checks that the proof finds each one in its scenario."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final

from proof.jobs import Job, Result
from proof.points import Fault, Mode
from proof.provers import Provers
from proof.seeded_bugs.registry import BUGS, Bug

MAX_ROUNDS_WITH_BUG: Final = 8
"""Rounds in which an order must end. Sound code needs fewer in these scenarios; the low limit keeps
a run short whose order never ends."""


@dataclass(frozen=True)
class HuntResult:
    """The first run with a finding, and how many runs it took; ``job`` is None if no run had one."""

    bug: Bug
    runs: int
    job: Job | None = None
    findings: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.job is None:
            return f"survived {self.runs} runs of {self.bug.scenario}"
        return f"{', '.join(self.findings)} in {self.job}, run {self.runs}"


def hunt_all(provers: Provers) -> Iterator[HuntResult]:
    """Hunt every bug in its scenario, and yield each result."""
    for bug in BUGS.values():
        yield hunt(provers, bug)


def hunt(provers: Provers, bug: Bug) -> HuntResult:
    """Play the bug's scenario without a fault, then with each fault, until there is a finding."""
    without_fault = Job(bug.scenario, bug=bug.name, max_rounds=MAX_ROUNDS_WITH_BUG)
    runs = 0
    points = []
    for job, result in provers.play([without_fault]):
        points = result.points
        runs += 1
        if result.findings:
            return HuntResult(bug, runs, job, _kinds(result))
    for fault in _expected_first((Fault(point, mode) for point in points for mode in Mode), bug):
        for job, result in provers.play([replace(without_fault, fault=fault)]):
            runs += 1
            if result.findings:
                return HuntResult(bug, runs, job, _kinds(result))
    return HuntResult(bug, runs)


def _expected_first(faults: Iterable[Fault], bug: Bug) -> list[Fault]:
    def is_unexpected(fault: Fault) -> bool:
        return fault.mode is not bug.mode or not fnmatchcase(str(fault.point), bug.point)

    return sorted(faults, key=is_unexpected)


def _kinds(result: Result) -> tuple[str, ...]:
    return tuple(dict.fromkeys(finding.kind for finding in result.findings))
