"""The command behind `make bench`."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import uvloop

from benchmarks.bench import Bench, BenchResult
from benchmarks.carts import Assortment, baskets, two_line_carts
from benchmarks.command_line import run_benchmark
from benchmarks.figures import NothingConfirmed
from benchmarks.meter import NotDurable, ProgramRestarted
from benchmarks.plan import InvalidPlan, Plan, plan_from
from benchmarks.report import as_json, save, show
from benchmarks.single_order import OrderStuck
from benchmarks.statements import LogIncomplete
from sandbox.application import without_waits
from sandbox.drive.report import terminal
from sandbox.run_directory import RunDirectory
from sandbox.system import running

RUN: Final = RunDirectory("bench-run", published="var/bench-run/up.json")

NO_FIGURES: Final = (
    LogIncomplete,
    NotDurable,
    NothingConfirmed,
    OrderStuck,
    ProgramRestarted,
)


def tell(line: str) -> None:
    print(line, flush=True)


def bench(plan: Plan, caller: Mapping[str, str]) -> int:
    """Measure a fresh system. Returns 0 if every order ended and the ledgers agree, otherwise 1."""
    assortment = _assortment(plan)
    for remark in assortment.remarks:
        tell(f"{plan.baskets}: {remark}.")
    old = _old(plan)
    result = _measure(plan, assortment, caller)
    document = as_json(plan, result)
    show(document, old, terminal())
    tell(f"Details: {save(plan, document)}")
    return int(not result.ok)


def _measure(plan: Plan, assortment: Assortment, caller: Mapping[str, str]) -> BenchResult:
    left_out = frozenset() if plan.flower else frozenset({"flower"})
    with RUN.locked():
        RUN.clear()
        with running(RUN, without_waits(caller), tell=tell, left_out=left_out) as system:
            return uvloop.run(Bench(system, plan, assortment, tell).run())


def _assortment(plan: Plan) -> Assortment:
    if plan.baskets is None:
        return two_line_carts()
    return baskets(_text(plan.baskets).splitlines())


def _old(plan: Plan) -> dict[str, Any] | None:
    if plan.compare is None:
        return None
    document: dict[str, Any] = json.loads(_text(plan.compare))
    return document


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError as error:
        raise InvalidPlan(str(error)) from None


def main() -> int:
    """Run ``python -m benchmarks``."""
    return run_benchmark(lambda: bench(plan_from(os.environ, Plan), os.environ), NO_FIGURES)


if __name__ == "__main__":
    sys.exit(main())
