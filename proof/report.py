"""The report of a proof: the number of runs, the time of recovery, and the findings."""

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
class ProofReport:
    """Collects the results of runs, and shows them as a table or as JSON."""

    golden: Golden
    unreviewed: list[str] = field(default_factory=list)
    runs: Counter[tuple[str, Mode]] = field(default_factory=Counter)
    recoveries: dict[str, list[float]] = field(default_factory=dict)
    rounds: dict[str, int] = field(default_factory=dict)
    findings: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name, result in self.golden.items():
            self._add_findings(Job(name), result)

    def add(self, job: Job, result: Result) -> None:
        """Add the result of one run."""
        if job.fault is not None:
            self.runs[job.scenario, job.fault.mode] += 1
        if result.recovery is not None:
            seconds = result.recovery.total_seconds()
            self.recoveries.setdefault(job.scenario, []).append(seconds)
        self.rounds[job.scenario] = max(self.rounds.get(job.scenario, 0), result.rounds)
        self._add_findings(job, result)

    def _add_findings(self, job: Job, result: Result) -> None:
        for finding in result.findings:
            self.findings.append(
                {
                    "kind": finding.kind,
                    "run": str(job),
                    "detail": finding.detail,
                    "reproduce": f"make prove ONLY={shlex.quote(str(job))}",
                }
            )

    @property
    def faults(self) -> int:
        return self.runs.total()

    def as_json(self) -> dict[str, Any]:
        """Return the report for programs; times are seconds of leases and back-offs."""
        return {
            "points": sum(len(run.points) for run in self.golden.values()),
            "golden_runs": len(self.golden),
            "faults": self.faults,
            "unreviewed": self.unreviewed,
            "findings": self.findings,
            "scenarios": {
                name: {
                    "points": dict(Counter(point.kind.value for point in result.points)),
                    "runs": {mode.value: self.runs[name, mode] for mode in Mode},
                    "seconds_to_recover": _summary(self.recoveries.get(name, [])),
                    "max_rounds": self.rounds.get(name, 0),
                }
                for name, result in self.golden.items()
            },
        }

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.as_json(), indent=2) + "\n")

    def show(self, console: Console) -> None:
        """Print the table, then the findings with the command that repeats each run."""
        console.print(self._table())
        for finding in self.findings:
            kind = f"[red]{finding['kind']}[/]"
            console.print(kind, finding["run"], soft_wrap=True, highlight=False)
            console.print(finding["detail"], soft_wrap=True, markup=False, highlight=False)
            console.print("  reproduce:", finding["reproduce"], soft_wrap=True, highlight=False)
        for difference in self.unreviewed:
            console.print("[red]points without a review in[/]", difference, soft_wrap=True)
        if self.unreviewed:
            console.print(ADVICE)
        runs = self.faults + len(self.golden)
        if self.findings:
            console.print(f"[red]{len(self.findings)} findings in {runs} runs.")
        else:
            # The rule of three: with 95 % confidence the true rate is below 3/N.
            console.print(
                f"[green]Nothing found in {runs} runs[/], {self.faults} of them with a fault"
                f" (a finding in less than {3 / max(runs, 1):.2%} of runs, at 95 % confidence)."
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
            kinds = Counter(point.kind for point in result.points)
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
        return any(point.kind is kind for run in self.golden.values() for point in run.points)


def _summary(seconds: list[float]) -> dict[str, float]:
    return {"median": median(seconds), "max": max(seconds)} if seconds else {}
