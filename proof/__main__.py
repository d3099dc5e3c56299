"""``python -m proof``: play every scenario, struck at every point in every mode."""

import argparse
import os
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from proof.provers import Job, Provers, at_work, environment
from sandbox.live_keys import refuse_live_keys

if TYPE_CHECKING:
    from rich.console import Console

    from proof.report import Report

PROVERS = 2
NOWHERE = "postgres://x@127.0.0.1:9/x"


def main() -> int:
    options = _options()
    refuse_live_keys(os.environ)
    import django  # noqa: PLC0415 - only once the environment has its settings

    os.environ.update(environment(DATABASE_URL=NOWHERE))
    django.setup()
    from rich.console import Console  # noqa: PLC0415

    console = Console(stderr=options.report == Path("-"))
    with at_work(options.provers) as provers:
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
    """Take the points of today for the reviewed ones, and show what that changes."""
    from proof import lock  # noqa: PLC0415
    from proof.enumeration import golden_runs, points_of  # noqa: PLC0415
    from proof.scenarios import SCENARIOS  # noqa: PLC0415

    found = points_of(golden_runs(provers, [each.name for each in SCENARIOS]))
    for each in lock.differences(found):
        console.print(str(each), soft_wrap=True, markup=False, highlight=False)
    lock.write(found)
    console.print(f"{sum(map(len, found.values()))} points in {lock.LOCK_FILE.name}")
    return 0


def _hunt(provers: Provers, console: "Console") -> int:
    """See whether every seeded bug is found; 0 only if it is."""
    from proof.seeded_bugs.hunt import hunt_all  # noqa: PLC0415

    kills = []
    for kill in hunt_all(provers):
        kills.append(kill)
        console.print(f"{kill.bug.name}: {kill}", soft_wrap=True, markup=False, highlight=False)
    killed = sum(each.job is not None for each in kills)
    console.print(f"{killed} of {len(kills)} seeded bugs found.")
    return int(killed < len(kills))


def _prove(provers: Provers, options: argparse.Namespace, console: "Console") -> "Report":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn  # noqa: PLC0415

    from proof import lock  # noqa: PLC0415
    from proof.enumeration import every_fault, golden_runs, points_of, sample  # noqa: PLC0415
    from proof.report import Report  # noqa: PLC0415
    from proof.scenarios import SCENARIOS  # noqa: PLC0415

    names = [each.name for each in SCENARIOS if _may_match(each.name, options.only)]
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
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("striking", total=len(jobs))
        for job, result in provers.play([] if options.bug and report.findings else jobs):
            report.add(job, result)
            for each in result.findings:
                progress.console.print(f"{each.kind}: {job}", soft_wrap=True, highlight=False)
            if options.bug and report.findings:
                break
            found = f", {len(report.findings)} findings" if report.findings else ""
            progress.update(task, advance=1, description=f"striking{found}")
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
