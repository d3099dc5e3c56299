"""Every point of every scenario, struck in every way."""

import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest

from proof.jobs import Job, Result
from proof.points import Fault, Mode, Point
from proof.provers import Provers

Golden = Mapping[str, Result]
"""The undisturbed run of each scenario: it says which points there are."""


def golden_runs(provers: Provers, scenarios: Iterable[str], *, bug: str = "") -> Golden:
    """Play scenarios with nothing struck, in their order."""
    names = list(scenarios)
    found = {
        job.scenario: result for job, result in provers.play(Job(each, bug=bug) for each in names)
    }
    return {name: found[name] for name in names}


def every_fault(golden: Golden, *, bug: str = "") -> list[Job]:
    """Every point of the golden runs in every mode."""
    return [
        Job(name, Fault(point, mode), bug)
        for name, run in golden.items()
        for point in run.points
        for mode in Mode
    ]


def sample(jobs: Sequence[Job], size: int) -> list[Job]:
    """Choose about ``size`` jobs, spread over scenarios, kinds of points, and modes.

    Within each of these groups the order hangs on a hash of the names of all points: the choice is
    the same from run to run, and another one whenever the points change.
    """
    seed = str(sorted({str(job) for job in jobs}))
    groups: dict[tuple[object, ...], list[Job]] = defaultdict(list)
    for job in sorted(jobs, key=lambda job: zlib.crc32(f"{seed}{job}".encode())):
        fault = job.fault
        groups[(fault.point.kind, fault.mode) if fault else ()].append(job)
    turns = zip_longest(*(_by_turns(each) for each in groups.values()))
    return [job for turn in turns for job in turn if job is not None][:size]


def _by_turns(jobs: Iterable[Job]) -> Iterator[Job]:
    """One job of each scenario, then another one of each."""
    scenarios: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        scenarios[job.scenario].append(job)
    for turn in zip_longest(*scenarios.values()):
        yield from (job for job in turn if job is not None)


def points_of(golden: Golden) -> dict[str, list[Point]]:
    return {name: run.points for name, run in golden.items()}
