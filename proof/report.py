"""The report of a proof: how much was tried, how long recovery took, and what was found."""

import json
import shlex
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from proof.enumeration import Golden
from proof.jobs import Job, Result
from proof.lock import ADVICE
from proof.points import Kind, Mode


@dataclass
class Report:
    """Collects results as they come."""

    golden: Golden
    unreviewed: list[str] = field(default_factory=list)
    runs: Counter[tuple[str, Mode]] = field(default_factory=Counter)
    recoveries: dict[str, list[float]] = field(default_factory=dict)
    rounds: dict[str, int] = field(default_factory=dict)
    findings: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name, result in self.golden.items():
            self._find(Job(name), result)

    def add(self, job: Job, result: Result) -> None:
        """Count one run with a fault."""
        if job.fault is not None:
            self.runs[job.scenario, job.fault.mode] += 1
        if result.recovery is not None:
            seconds = result.recovery.total_seconds()
            self.recoveries.setdefault(job.scenario, []).append(seconds)
        self.rounds[job.scenario] = max(self.rounds.get(job.scenario, 0), result.rounds)
        self._find(job, result)

    def _find(self, job: Job, result: Result) -> None:
        for each in result.findings:
            self.findings.append(
                {
                    "kind": each.kind,
                    "run": str(job),
                    "detail": each.detail,
                    "reproduce": f"make prove ONLY={shlex.quote(str(job))}",
                }
            )

    @property
    def faults(self) -> int:
        return self.runs.total()

    def as_json(self) -> dict[str, Any]:
        """For programs; times are seconds by the clocks of leases and back-offs."""
        return {
            "points": sum(len(each.points) for each in self.golden.values()),
            "golden_runs": len(self.golden),
            "faults": self.faults,
            "unreviewed": self.unreviewed,
            "findings": self.findings,
            "scenarios": {
                name: {
                    "points": dict(Counter(each.kind.value for each in result.points)),
                    "runs": {mode.value: self.runs[name, mode] for mode in Mode},
                    "seconds_to_recover": _summary(self.recoveries.get(name, [])),
                    "most_rounds": self.rounds.get(name, 0),
                }
                for name, result in self.golden.items()
            },
        }

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.as_json(), indent=2) + "\n")

    def show(self, console: Console) -> None:
        """Print the table, and under it what was found."""
        console.print(self._table())
        for each in self.findings:
            console.print(f"[red]{each['kind']}[/]", each["run"], soft_wrap=True, highlight=False)
            console.print(each["detail"], soft_wrap=True, markup=False, highlight=False)
            console.print("  reproduce:", each["reproduce"], soft_wrap=True, highlight=False)
        for scenario in self.unreviewed:
            console.print("[red]points without a review in[/]", scenario, soft_wrap=True)
        if self.unreviewed:
            console.print(ADVICE)
        tried = self.faults + len(self.golden)
        if self.findings:
            console.print(f"[red]{len(self.findings)} findings in {tried} runs.")
        else:
            # The rule of three: with 95 % confidence the true rate is below 3/N.
            console.print(
                f"[green]Nothing found in {tried} runs[/], {self.faults} of them with a fault"
                f" (a finding in less than {3 / max(tried, 1):.2%} of runs, at 95 % confidence)."
            )

    def _table(self) -> Table:
        numbers = [Column(kind.value, justify="right") for kind in Kind if self._has(kind)]
        table = Table(
            "scenario",
            *numbers,
            Column("faults", justify="right"),
            Column("rounds", justify="right"),
            Column("recovery, s (median, max)", justify="right"),
            caption="Points by kind. Recovery by the clocks of leases, back-offs and sweeps.",
        )
        for name, result in self.golden.items():
            kinds = Counter(each.kind for each in result.points)
            summary = _summary(self.recoveries.get(name, []))
            table.add_row(
                name,
                *(str(kinds[kind]) for kind in Kind if self._has(kind)),
                str(sum(self.runs[name, mode] for mode in Mode)),
                str(self.rounds.get(name, 0)),
                f"{summary['median']:.1f}, {summary['max']:.1f}" if summary else "",
            )
        return table

    def _has(self, kind: Kind) -> bool:
        return any(each.kind is kind for run in self.golden.values() for each in run.points)


def _summary(seconds: list[float]) -> dict[str, float]:
    return {"median": median(seconds), "max": max(seconds)} if seconds else {}
