"""Shows the figures of waiting with their aims, and saves them as JSON."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.report import FOLDER, commit, machine
from benchmarks.waits.bench import WaitsResult
from benchmarks.waits.plan import WaitsPlan


def as_json(plan: WaitsPlan, result: WaitsResult) -> dict[str, Any]:
    """Return the result with everything needed to judge it."""
    return {
        "title": f"waits, {commit()}",
        "plan": plan.model_dump(mode="json"),
        "ok": result.ok,
        "figures": [{**figure._asdict(), "ok": figure.ok} for figure in result.figures],
        "checks": [check._asdict() for check in result.checks],
        "beside": [beside._asdict() for beside in result.machines],
        "windows": [{"waiting runs": kind, **figures} for kind, figures in result.windows],
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": commit(),
        "machine": machine(),
    }


def save(plan: WaitsPlan, document: Mapping[str, Any]) -> Path:
    """Write the document below ``var/bench`` and return its path."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    name = plan.result or f"waits-{document['commit']}-{time.strftime('%m%d-%H%M%S')}"
    file = FOLDER / f"{name}.json"
    file.write_text(json.dumps(document, indent=2) + "\n")
    return file


def show(document: Mapping[str, Any], console: Console) -> None:
    """Print the table of the figures, what the machine did beside them, and the checks."""
    table = Table("part", "figure", "measured", "N", "aim", "", title=document["title"])
    for figure in document["figures"]:
        aim = "" if figure["aim"] is None else f"≤ {figure['aim']:g} {figure['unit']}"
        verdict = "[green]ok[/]" if figure["ok"] else "[bold red]missed[/]"
        measured = f"{figure['value']:,.1f} {figure['unit']}"
        row = (figure["part"], figure["name"], measured, f"{figure['n']:,}", aim)
        table.add_row(*row, verdict if aim else "")
    console.print(table)
    for beside in document["beside"]:
        load = f"load {beside['load_before']:.1f} before, {beside['load_after']:.1f} after"
        console.print(f"{beside['part']}: {load}, slow {beside['slow']:.2f}", highlight=False)
    for check in document["checks"]:
        verdict = "[green]ok[/]" if check["ok"] else "[bold red]WRONG[/]"
        console.print(f"{verdict} {check['name']}: {check['detail']}", highlight=False)
