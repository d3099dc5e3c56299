"""The hunt: whether the enumeration finds each seeded bug where it must."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final

from proof.jobs import Job, Result
from proof.points import Fault, Mode
from proof.provers import Provers
from proof.seeded_bugs.registry import BUGS, Bug

PATIENCE: Final = 8
"""Rounds until an order must have ended. The sound code takes fewer in these scenarios, and an order
that never ends is given up soon."""


@dataclass(frozen=True)
class Kill:
    """The first run that found something, and how many it took; or that none did."""

    bug: Bug
    runs: int
    job: Job | None = None
    findings: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.job is None:
            return f"survived {self.runs} runs of {self.bug.scenario}"
        return f"{', '.join(self.findings)} in {self.job}, run {self.runs}"


def hunt_all(provers: Provers) -> Iterator[Kill]:
    """Hunt every bug, each in its scenario."""
    for bug in BUGS.values():
        yield hunt(provers, bug)


def hunt(provers: Provers, bug: Bug) -> Kill:
    """Play the bug's scenario with it, undisturbed and then struck, until something is found."""
    undisturbed = Job(bug.scenario, bug=bug.name, most_rounds=PATIENCE)
    runs = 0
    points = []
    for job, result in provers.play([undisturbed]):
        points = result.points
        runs += 1
        if result.findings:
            return Kill(bug, runs, job, _kinds(result))
    for fault in _expected_first((Fault(point, mode) for point in points for mode in Mode), bug):
        for job, result in provers.play([replace(undisturbed, fault=fault)]):
            runs += 1
            if result.findings:
                return Kill(bug, runs, job, _kinds(result))
    return Kill(bug, runs)


def _expected_first(faults: Iterable[Fault], bug: Bug) -> list[Fault]:
    def is_unexpected(fault: Fault) -> bool:
        return fault.mode is not bug.mode or not fnmatchcase(str(fault.point), bug.point)

    return sorted(faults, key=is_unexpected)


def _kinds(result: Result) -> tuple[str, ...]:
    return tuple(dict.fromkeys(finding.kind for finding in result.findings))
