"""The command behind `make bench-waits`."""

import os
import sys
from collections.abc import Mapping
from typing import Final

from benchmarks.command_line import run_benchmark
from benchmarks.figures import NothingConfirmed
from benchmarks.meter import ProgramRestarted
from benchmarks.plan import plan_from
from benchmarks.waits.bench import LAYOUT, WaitsBench
from benchmarks.waits.plan import WaitsPlan
from benchmarks.waits.report import as_json, save, show
from sandbox.application import without_waits
from sandbox.drive.report import terminal
from sandbox.run_directory import RunDirectory
from sandbox.system import running

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
    return run_benchmark(
        lambda: bench(plan_from(os.environ, WaitsPlan), os.environ),
        (NothingConfirmed, ProgramRestarted),
    )


if __name__ == "__main__":
    sys.exit(main())
