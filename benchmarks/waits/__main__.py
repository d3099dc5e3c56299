"""The command behind `make bench-waits`."""

import os
import sys
from collections.abc import Mapping
from typing import Final

from benchmarks.figures import NothingConfirmed
from benchmarks.meter import ProgramRestarted
from benchmarks.plan import InvalidPlan, plan_from
from benchmarks.waits.bench import LAYOUT, WaitsBench
from benchmarks.waits.plan import WaitsPlan
from benchmarks.waits.report import as_json, save, show
from sandbox.application import without_waits
from sandbox.drive.report import terminal
from sandbox.environment import is_external
from sandbox.launcher import INTERRUPTED, UNUSABLE, become_launcher
from sandbox.ports import PortTaken
from sandbox.run_directory import AlreadyRunning, RunDirectory
from sandbox.system import StartFailed, SupervisorGone, running

RUN: Final = RunDirectory("bench-waits-run", published="var/bench-waits-run/up.json")
LEFT_OUT: Final = frozenset({"flower"})


def tell(line: str) -> None:
    print(line, flush=True)


def bench(plan: WaitsPlan, caller: Mapping[str, str]) -> int:
    """Measure a fresh system. Returns 0 if every check passed, otherwise 1."""
    with RUN.locked():
        RUN.clear()
        started = running(RUN, without_waits(caller), tell=tell, left_out=LEFT_OUT, layout=LAYOUT)
        with started as system:
            result = WaitsBench(system, plan, tell).run()
    document = as_json(plan, result)
    show(document, terminal())
    tell(f"Details: {save(plan, document)}")
    return int(not result.ok)


def main() -> int:
    """Run ``python -m benchmarks.waits``."""
    become_launcher()
    if is_external(os.environ):
        print("EXTERNAL=1: only what a benchmark starts itself is measured.", file=sys.stderr)
        return UNUSABLE
    try:
        return bench(plan_from(os.environ, WaitsPlan), os.environ)
    except InvalidPlan as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    except (AlreadyRunning, PortTaken, StartFailed, SupervisorGone) as error:
        print(error, file=sys.stderr)
        return 1
    except (NothingConfirmed, ProgramRestarted) as error:
        print(f"No figures: {type(error).__name__} {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
