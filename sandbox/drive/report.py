"""What came of the drive, as tables for people: how its orders ended, and what the books say."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sandbox.drive.checks import Check

WIDTH_WITHOUT_TERMINAL: Final = 120


class Result(NamedTuple):
    """How a scenario ended."""

    name: str
    orders: int
    expected: dict[str, int]
    got: dict[str, int]
    problem: str  # what kept it from ending, if anything did

    @property
    def ok(self) -> bool:
        return not self.problem and self.got == self.expected

    def in_words(self) -> str:
        """Say how the orders ended and, if that is wrong, how they should have."""
        if self.ok:
            return counted(self.got)
        return f"{self.problem or counted(self.got)}; expected: {counted(self.expected)}"


class Report(NamedTuple):
    """Everything that came of a drive; what `var/smoke.json` holds."""

    results: Sequence[Result]
    checks: Sequence[Check]

    @property
    def ok(self) -> bool:
        return all(each.ok for each in self.results) and all(each.ok for each in self.checks)

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


def show_results(results: Sequence[Result], console: Console) -> None:
    table = Table("scenario", "orders", "ended", "", title="How the orders ended")
    for result in results:
        ended = escape(result.in_words())
        table.add_row(result.name, str(result.orders), ended, verdict(ok=result.ok))
    console.print(table)


def show_story(title: str, entries: Sequence[Mapping[str, Any]], console: Console) -> None:
    story = Table("at (UTC)", "what", "detail", title=title)
    for entry in entries:
        at = datetime.fromisoformat(entry["at"]).strftime("%H:%M:%S.%f")[:-3]
        story.add_row(at, entry["code"], escape(str(entry.get("message") or "")))
    console.print(story)


def show_checks(checks: Sequence[Check], console: Console) -> None:
    proof = Table("check", "", "detail", title="What the books say")
    for check in checks:
        proof.add_row(check.name, verdict(ok=check.ok), escape(check.detail))
    console.print(proof)


def terminal() -> Console:
    """Return a console that keeps tables whole where the output is no terminal."""
    console = Console(highlight=False)
    if console.is_terminal:
        return console
    return Console(highlight=False, width=WIDTH_WITHOUT_TERMINAL)


def verdict(*, ok: bool) -> str:
    return "[green]ok[/]" if ok else "[bold red]WRONG[/]"


def counted(outcomes: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items()))
