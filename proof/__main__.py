"""``python -m proof``: play every scenario with a fault at every point, in every mode.

The other commands update the lock of fault points and hunt the seeded bugs.
"""

import argparse
import os
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from proof.jobs import Job
from proof.provers import Provers, environment, running_provers
from sandbox.live_keys import refuse_live_keys

if TYPE_CHECKING:
    from rich.console import Console

    from proof.report import ProofReport

PROVERS = 2


def main() -> int:
    options = _options()
    refuse_live_keys(os.environ)
    import django  # noqa: PLC0415 - only once the environment has its settings

    os.environ.update(environment())
    django.setup()
    from rich.console import Console  # noqa: PLC0415

    console = Console(stderr=options.report == Path("-"))
    with running_provers(options.provers) as provers:
        if options.command == "lock":
            return _lock(provers, console)
        if options.command == "bugs":
            return _hunt(provers, console)
        report = _prove(provers, options, console)
    report.show(console)
    if options.report is not None:
        report.write(options.report)
    return 1 if report.findings or report.unreviewed else 0


def _lock(provers: Provers, console: "Console") -> int:
    """Write the current points into the lock, and print the differences. Returns 0."""
    from proof import lock  # noqa: PLC0415
    from proof.enumeration import golden_runs, points_of  # noqa: PLC0415
    from proof.scenarios import SCENARIOS  # noqa: PLC0415

    found = points_of(golden_runs(provers, [scenario.name for scenario in SCENARIOS]))
    for difference in lock.differences(found):
        console.print(str(difference), soft_wrap=True, markup=False, highlight=False)
    lock.write(found)
    console.print(f"{sum(map(len, found.values()))} points in {lock.LOCK_FILE.name}")
    return 0


def _hunt(provers: Provers, console: "Console") -> int:
    """Hunt every seeded bug. Returns 0 if all are found, otherwise 1."""
    from proof.bug_hunt import hunt_all  # noqa: PLC0415

    results = []
    for result in hunt_all(provers):
        results.append(result)
        console.print(f"{result.bug.name}: {result}", soft_wrap=True, markup=False, highlight=False)
    found = sum(result.job is not None for result in results)
    console.print(f"{found} of {len(results)} seeded bugs found.")
    return int(found < len(results))


def _prove(provers: Provers, options: argparse.Namespace, console: "Console") -> "ProofReport":
    from proof import lock  # noqa: PLC0415
    from proof.enumeration import every_fault, golden_runs, points_of, sample  # noqa: PLC0415
    from proof.progress import show_progress  # noqa: PLC0415
    from proof.report import ProofReport  # noqa: PLC0415
    from proof.scenarios import SCENARIOS  # noqa: PLC0415

    names = [scenario.name for scenario in SCENARIOS if _may_match(scenario.name, options.only)]
    golden = golden_runs(provers, names, bug=options.bug)
    report = ProofReport(golden)
    differences = lock.differences(points_of(golden), names)
    report.unreviewed = [str(difference) for difference in differences]
    jobs = every_fault(golden, bug=options.bug)
    if options.only:
        jobs = [job for job in jobs if _matches(job, options.only)]
    if options.sample:
        new_points = {
            (difference.scenario, point) for difference in differences for point in difference.new
        }
        at_new_points = [
            job for job in jobs if job.fault and (job.scenario, str(job.fault.point)) in new_points
        ]
        jobs = list(dict.fromkeys([*at_new_points, *sample(jobs, options.sample)]))
    stop_at_first = bool(options.bug)
    with show_progress(console, len(jobs)) as count:
        for job, result in provers.play([] if stop_at_first and report.findings else jobs):
            report.add(job, result)
            for finding in result.findings:
                console.print(f"{finding.kind}: {job}", soft_wrap=True, highlight=False)
            count(len(result.findings))
            if stop_at_first and report.findings:
                break
    return report


def _matches(job: Job, pattern: str) -> bool:
    """Return whether the pattern names the job, its point or its scenario."""
    return fnmatchcase(str(job), pattern) or fnmatchcase(str(job), f"{pattern}/*")


def _may_match(scenario: str, pattern: str) -> bool:
    return not pattern or fnmatchcase(scenario, pattern.partition("/")[0])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m proof", description=__doc__)
    parser.add_argument("command", choices=["run", "lock", "bugs"], nargs="?", default="run")
    parser.add_argument(
        "--only", default="", help="scenario, scenario/point or scenario/point/mode"
    )
    parser.add_argument(
        "--sample", type=int, default=0, help="number of faults; new points are added"
    )
    parser.add_argument("--bug", default="", help="a seeded bug's name, or module:function")
    parser.add_argument("--provers", type=int, default=PROVERS, help="number of processes")
    parser.add_argument("--report", type=Path, help="file for the JSON report")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
