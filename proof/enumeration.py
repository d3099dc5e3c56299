"""Lists the jobs of a proof: every point of every scenario in every mode, or a sample."""

import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest

from proof.jobs import Job, Result
from proof.points import Fault, Mode, Point
from proof.provers import Provers

Golden = Mapping[str, Result]
"""The run without a fault of each scenario; its points are the scenario's fault points."""


def golden_runs(provers: Provers, scenarios: Iterable[str], *, bug: str = "") -> Golden:
    """Play scenarios without a fault, and return the results in the order of ``scenarios``."""
    names = list(scenarios)
    jobs = [Job(name, bug=bug) for name in names]
    found = {job.scenario: result for job, result in provers.play(jobs)}
    return {name: found[name] for name in names}


def every_fault(golden: Golden, *, bug: str = "") -> list[Job]:
    """Return one job for each point of the golden runs in each mode."""
    return [
        Job(name, Fault(point, mode), bug)
        for name, run in golden.items()
        for point in run.points
        for mode in Mode
    ]


def sample(jobs: Sequence[Job], size: int) -> list[Job]:
    """Choose at most ``size`` jobs, spread over scenarios, kinds of points, and modes.

    A hash of all points' names decides the order within each group. So the sample stays the same
    until the points change.
    """
    seed = str(sorted({str(job) for job in jobs}))
    groups: dict[tuple[object, ...], list[Job]] = defaultdict(list)
    for job in sorted(jobs, key=lambda job: zlib.crc32(f"{seed}{job}".encode())):
        fault = job.fault
        groups[(fault.point.kind, fault.mode) if fault else ()].append(job)
    turns = zip_longest(*(_round_robin(group) for group in groups.values()))
    return [job for turn in turns for job in turn if job is not None][:size]


def _round_robin(jobs: Iterable[Job]) -> Iterator[Job]:
    """Yield one job of each scenario, then the next one of each, and so on."""
    scenarios: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        scenarios[job.scenario].append(job)
    for turn in zip_longest(*scenarios.values()):
        yield from (job for job in turn if job is not None)


def points_of(golden: Golden) -> dict[str, list[Point]]:
    return {name: run.points for name, run in golden.items()}
