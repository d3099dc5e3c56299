"""The command behind `make chaos`."""

import argparse
import os
import sys
from typing import Final

from proof.chaos.plan import make_plan
from proof.chaos.report import judge, save, show
from proof.chaos.run import NotDurable, folder_of, run_plan
from sandbox.drive.report import terminal
from sandbox.environment import is_external
from sandbox.launcher import INTERRUPTED, UNUSABLE, become_launcher
from sandbox.ports import PortTaken
from sandbox.run_directory import AlreadyRunning
from sandbox.system import StartFailed, SupervisorGone

RATE: Final = 5.0  # orders a second beside the bursts


def tell(line: str) -> None:
    print(line, flush=True)


def chaos(*, minutes: float, seed: int, rate: float, bug: str | None) -> int:
    """Run once. Returns 0 if all ledgers agree, 1 with a finding, 3 if too few were confirmed."""
    plan = make_plan(seed=seed, minutes=minutes, rate=rate)
    folder = folder_of(seed, bug)
    result = run_plan(plan, folder, bug=bug, tell=tell)
    report = judge(plan, result)
    save(report, folder)
    show(report, terminal())
    tell(f"Verdict: {report.verdict.name}. Details: {folder.relative_to(folder.parents[2])}")
    return int(report.verdict)


def main() -> int:
    """Run ``python -m proof.chaos``."""
    parser = argparse.ArgumentParser(prog="python -m proof.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=RATE, help="orders a second")
    parser.add_argument("--bug", help="a seeded bug to put into web and workers")
    given = parser.parse_args()
    become_launcher()
    if is_external(os.environ):
        print("EXTERNAL=1: a chaos run breaks only what it starts itself.", file=sys.stderr)
        return UNUSABLE
    try:
        return chaos(minutes=given.minutes, seed=given.seed, rate=given.rate, bug=given.bug)
    except (AlreadyRunning, NotDurable, PortTaken, StartFailed, SupervisorGone) as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
