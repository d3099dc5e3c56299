"""``python -m proof``: play every scenario with a fault at every point, in every mode."""

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

    from proof.report import Report

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
    """Write the points of today into the lock, and print what that changes."""
    from proof import lock  # noqa: PLC0415
    from proof.enumeration import golden_runs, points_of  # noqa: PLC0415
    from proof.scenarios import SCENARIOS  # noqa: PLC0415

    found = points_of(golden_runs(provers, [scenario.name for scenario in SCENARIOS]))
    for each in lock.differences(found):
        console.print(str(each), soft_wrap=True, markup=False, highlight=False)
    lock.write(found)
    console.print(f"{sum(map(len, found.values()))} points in {lock.LOCK_FILE.name}")
    return 0


def _hunt(provers: Provers, console: "Console") -> int:
    """Look for every seeded bug. Returns 0 if each is found."""
    from proof.bug_hunt import hunt_all  # noqa: PLC0415

    kills = []
    for kill in hunt_all(provers):
        kills.append(kill)
        console.print(f"{kill.bug.name}: {kill}", soft_wrap=True, markup=False, highlight=False)
    killed = sum(each.job is not None for each in kills)
    console.print(f"{killed} of {len(kills)} seeded bugs found.")
    return int(killed < len(kills))


def _prove(provers: Provers, options: argparse.Namespace, console: "Console") -> "Report":
    from proof import lock  # noqa: PLC0415
    from proof.enumeration import every_fault, golden_runs, points_of, sample  # noqa: PLC0415
    from proof.progress import shown  # noqa: PLC0415
    from proof.report import Report  # noqa: PLC0415
    from proof.scenarios import SCENARIOS  # noqa: PLC0415

    names = [s.name for s in SCENARIOS if _may_match(s.name, options.only)]
    golden = golden_runs(provers, names, bug=options.bug)
    report = Report(golden)
    differences = lock.differences(points_of(golden), names)
    report.unreviewed = [str(each) for each in differences]
    jobs = every_fault(golden, bug=options.bug)
    if options.only:
        jobs = [each for each in jobs if _matches(each, options.only)]
    if options.sample:
        new = {(each.scenario, name) for each in differences for name in each.new}
        changed = [
            each for each in jobs if each.fault and (each.scenario, str(each.fault.point)) in new
        ]
        jobs = list(dict.fromkeys([*changed, *sample(jobs, options.sample)]))
    stops_early = bool(options.bug)
    with shown(console, len(jobs)) as count:
        for job, result in provers.play([] if stops_early and report.findings else jobs):
            report.add(job, result)
            for finding in result.findings:
                console.print(f"{finding.kind}: {job}", soft_wrap=True, highlight=False)
            count(len(result.findings))
            if stops_early and report.findings:
                break
    return report


def _matches(job: Job, pattern: str) -> bool:
    """Whether the pattern names the job, or what it is a part of."""
    return fnmatchcase(str(job), pattern) or fnmatchcase(str(job), f"{pattern}/*")


def _may_match(scenario: str, pattern: str) -> bool:
    return not pattern or fnmatchcase(scenario, pattern.partition("/")[0])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m proof", description=__doc__)
    parser.add_argument("command", choices=["run", "lock", "bugs"], nargs="?", default="run")
    parser.add_argument(
        "--only", default="", help="scenario, scenario/point or scenario/point/mode"
    )
    parser.add_argument("--sample", type=int, default=0, help="so many faults, and all new points")
    parser.add_argument("--bug", default="", help="a seeded bug, or module:function")
    parser.add_argument("--provers", type=int, default=PROVERS, help="processes at work")
    parser.add_argument("--report", type=Path, help="where to write it as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
