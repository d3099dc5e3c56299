"""The results of a drive as tables: how its orders ended, and what the checks found."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sandbox.drive.checks import Check

WIDTH_WITHOUT_TERMINAL: Final = 120


class ScenarioResult(NamedTuple):
    """How a scenario ended."""

    name: str
    orders: int
    expected: dict[str, int]
    got: dict[str, int]
    problem: str  # why the scenario did not end; empty if it did

    @property
    def ok(self) -> bool:
        return not self.problem and self.got == self.expected

    def in_words(self) -> str:
        """Return how the orders ended and, if that is wrong, the expected outcomes."""
        if self.ok:
            return counted(self.got)
        return f"{self.problem or counted(self.got)}; expected: {counted(self.expected)}"


class DriveReport(NamedTuple):
    """All results of a drive; `var/smoke.json` has them."""

    results: Sequence[ScenarioResult]
    checks: Sequence[Check]

    @property
    def ok(self) -> bool:
        return all(result.ok for result in self.results) and all(check.ok for check in self.checks)

    def as_json(self, seconds: Mapping[str, float]) -> dict[str, object]:
        return {
            "scenarios": [
                {
                    "name": result.name,
                    "orders": result.orders,
                    "expected": result.expected,
                    "got": result.got,
                    "problem": result.problem,
                    "ok": result.ok,
                }
                for result in self.results
            ],
            "checks": [check._asdict() for check in self.checks],
            "ok": self.ok,
            "seconds": dict(seconds),
        }


def show_results(results: Sequence[ScenarioResult], console: Console) -> None:
    table = Table("scenario", "orders", "ended", "", title="How the orders ended")
    for result in results:
        ended = escape(result.in_words())
        table.add_row(result.name, str(result.orders), ended, status_label(ok=result.ok))
    console.print(table)


def show_timeline(title: str, entries: Sequence[Mapping[str, Any]], console: Console) -> None:
    timeline = Table("at (UTC)", "event", "detail", title=title)
    for entry in entries:
        at = datetime.fromisoformat(entry["at"]).strftime("%H:%M:%S.%f")[:-3]
        timeline.add_row(at, entry["code"], escape(str(entry.get("message") or "")))
    console.print(timeline)


def show_checks(checks: Sequence[Check], console: Console) -> None:
    table = Table("check", "", "detail", title="Orders, payments and stock compared")
    for check in checks:
        table.add_row(check.name, status_label(ok=check.ok), escape(check.detail))
    console.print(table)


def terminal() -> Console:
    """Return a console. If the output is not a terminal, tables are 120 columns wide."""
    console = Console(highlight=False)
    if console.is_terminal:
        return console
    return Console(highlight=False, width=WIDTH_WITHOUT_TERMINAL)


def status_label(*, ok: bool) -> str:
    return "[green]ok[/]" if ok else "[bold red]WRONG[/]"


def counted(outcomes: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items()))
