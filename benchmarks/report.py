"""Shows a benchmark's result as tables, and saves it as JSON for later comparisons."""

import json
import math
import platform
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.bench import BenchResult
from benchmarks.figures import medians, normalised, ratios
from benchmarks.plan import Plan
from benchmarks.single_order import BUDGET, UP_TO_CONFIRMED
from benchmarks.statements import shortened
from sandbox.procfile import ROOT, declared

UNKNOWN: Final = "unknown"  # without git, or outside a clone
FOLDER: Final = ROOT / "var" / "bench"


def as_json(plan: Plan, result: BenchResult) -> dict[str, Any]:
    """Return the result with everything needed to judge it: plan, commit, machine, settings."""
    figures = medians(result.windows)
    return {
        "title": _title(plan),
        "plan": plan.model_dump(mode="json"),
        "ok": result.ok,
        "figures": figures,
        "normalised": normalised(figures),
        "windows": result.windows,
        "alone": result.alone._asdict(),
        "over budget": result.alone.over_budget,
        "statements under load": result.statements,
        "profile": result.profile,
        "failures": result.failures,
        "checks": [check._asdict() for check in result.checks],
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": commit(),
        "machine": machine(),
        "postgresql": result.durability,
        "processes": declared(),
    }


def save(plan: Plan, document: Mapping[str, Any]) -> Path:
    """Write the document below ``var/bench`` and return its path."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%m%d-%H%M%S")
    name = plan.result or f"{plan.load}-{plan.latency_ms}ms-{document['commit']}-{stamp}"
    file = FOLDER / f"{name}.json"
    file.write_text(json.dumps(document, indent=2) + "\n")
    return file


def show(document: Mapping[str, Any], old: Mapping[str, Any] | None, console: Console) -> None:
    """Print the tables; with an ``old`` document also the ratios to it."""
    console.print(document["title"], highlight=False)
    if old is not None:
        console.print(f"compared with {old['title']}", highlight=False)
    table = Table()
    for column in ("figure", "measured", "normalised"):
        table.add_column(column, justify="left" if column == "figure" else "right")
    if old is not None:
        table.add_column("new / old", justify="right")
        table.add_column("normalised", justify="right")
    compared, compared_normalised = (
        ratios(document[kind], old[kind]) if old is not None else {}
        for kind in ("figures", "normalised")
    )
    for name, value in document["figures"].items():
        cells = [_number(value), _number(document["normalised"].get(name))]
        if old is not None:
            cells += [_number(compared.get(name)), _number(compared_normalised.get(name))]
        table.add_row(name, *cells)
    console.print(table)
    console.print(_alone(document["alone"], old and old["alone"]))
    for line in document["over budget"]:
        console.print(f"[bold red]OVER BUDGET[/] {line}", highlight=False)
    console.print(_statements(document))
    for program, found in document["profile"].items():
        console.print(_profile(program, found))
    for reason, number in document["failures"].items():
        console.print(f"[red]{number} failed:[/] {reason}")
    for check in document["checks"]:
        verdict = "[green]ok[/]" if check["ok"] else "[bold red]WRONG[/]"
        console.print(f"{verdict} {check['name']}: {check['detail']}", highlight=False)


def _alone(found: Mapping[str, Any], old: Mapping[str, Any] | None) -> Table:
    """Return the table of one order's costs when alone, beside those of the ``old`` document."""
    title = f"Alone: {found['orders']} orders, {found['to_confirmed_ms']:.1f} ms to confirmed"
    before = [] if old is None else [f"{part}, before" for part in old["costs"]]
    table = Table("per order", *found["costs"], "budget", *before, title=title)
    for name in found["costs"][UP_TO_CONFIRMED]:
        counts = [_number(costs[name]) for costs in found["costs"].values()]
        old_counts = (
            [] if old is None else [_number(costs[name]) for costs in old["costs"].values()]
        )
        table.add_row(name, *counts, str(BUDGET.get(name, "")), *old_counts)
    return table


def _statements(document: Mapping[str, Any]) -> Table:
    """Return the table of SQL statements per order, alone and under load."""
    table = Table("process", "statement", "alone", "under load", title="Statements per order")
    kinds = (document["alone"]["statements"], document["statements under load"])
    alone, loaded = ({(program, text): n for program, text, n in kind} for kind in kinds)
    shown = [*alone, *(key for key, number in loaded.items() if key not in alone and number > 0.1)]  # noqa: PLR2004
    for program, text in shown:
        counts = [_number(kind.get((program, text))) for kind in (alone, loaded)]
        table.add_row(program, escape(shortened(text)), *counts)
    return table


def _profile(program: str, found: Mapping[str, Any]) -> Table:
    table = Table(title=f"{program}: {found['samples']} samples")
    table.add_column("share", justify="right")
    table.add_column("group or function")
    for kind in ("groups", "own"):
        for name, share in found[kind].items():
            table.add_row(f"{share:.1%}", escape(name))
        table.add_section()
    return table


def commit() -> str:
    """Return the short commit id, with a plus if files differ from it."""

    def git(*words: str) -> str:
        finished = subprocess.run(
            ["git", *words],  # noqa: S607 - the one on the path
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return finished.stdout.strip()

    try:
        head = git("rev-parse", "--short", "HEAD")
        changed = "+" if git("status", "-s", "-uno") else ""
    except FileNotFoundError:
        return UNKNOWN
    return f"{head}{changed}" if head else UNKNOWN


def machine() -> dict[str, object]:
    """Return the hardware and software that the figures were measured on."""
    cpus = Path("/proc/cpuinfo").read_text()
    models = [line.partition(": ")[2] for line in cpus.splitlines() if "model name" in line]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": cpus.count("processor\t"),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _title(plan: Plan) -> str:
    carts = "two-line carts" if plan.baskets is None else plan.baskets.name
    flower = "with Flower" if plan.flower else "without Flower"
    return (
        f"{plan.load}, provider {plan.latency_ms} ms, {carts}, {flower}, {commit()}: "
        f"{plan.repeat} x {plan.seconds:g} s"
    )


def _number(value: float | None) -> str:
    if value is None or math.isnan(value):
        return ""
    return f"{value:,.0f}" if value >= 999.5 else f"{value:.3g}"  # noqa: PLR2004 - three digits
