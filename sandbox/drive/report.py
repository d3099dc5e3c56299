"""How the drive is shown while it runs and after, and how it is written down for programs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any, NamedTuple

from rich.console import Console
from rich.live import Live
from rich.table import Table

from sandbox.drive.checks import Check
from sandbox.drive.scenarios import Scenario


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


class Progress:
    """Counts orders by scenario; safe to use from many threads."""

    def __init__(self, scenarios: Sequence[Scenario], console: Console) -> None:
        self._console = console
        self._lock = Lock()
        self._rows = {each.name: [0, 0, len(each.carts)] for each in scenarios}
        self._results: dict[str, Result] = {}

    def accepted(self, scenario: str) -> None:
        with self._lock:
            self._rows[scenario][0] += 1

    def ended(self, scenario: str) -> None:
        with self._lock:
            self._rows[scenario][1] += 1

    def finished(self, result: Result) -> None:
        with self._lock:
            self._results[result.name] = result
        if not self._console.is_terminal:
            self._console.print(f"{_verdict(ok=result.ok)} {result.name}: {_counts(result.got)}")

    def __rich__(self) -> Table:
        table = Table("scenario", "placed", "ended", "of", "")
        with self._lock:
            for name, (accepted, ended, orders) in self._rows.items():
                result = self._results.get(name)
                verdict = "" if result is None else _verdict(ok=result.ok)
                table.add_row(name, str(accepted), str(ended), str(orders), verdict)
        return table


@contextmanager
def shown_live(progress: Progress, console: Console) -> Iterator[None]:
    """Redraw the progress while it changes; where nobody can redraw, lines have to do."""
    if not console.is_terminal:
        yield
        return
    with Live(progress, console=console, refresh_per_second=5, transient=True):
        yield


def show(
    results: Sequence[Result],
    checks: Sequence[Check],
    timeline: tuple[str, Sequence[dict[str, Any]]],
    console: Console,
) -> None:
    table = Table("scenario", "orders", "expected", "got", "", title="How the orders ended")
    for result in results:
        got = result.problem or _counts(result.got)
        verdict = _verdict(ok=result.ok)
        table.add_row(result.name, str(result.orders), _counts(result.expected), got, verdict)
    console.print(table)

    title, entries = timeline
    if entries:
        story = Table("at", "what", "detail", title=title)
        for entry in entries:
            story.add_row(entry["at"], entry["what"], str(entry.get("words") or ""))
        console.print(story)

    proof = Table("check", "", "detail", title="What the books say")
    for check in checks:
        proof.add_row(check.name, _verdict(ok=check.ok), check.detail)
    console.print(proof)


def terminal(console_width: int = 120) -> Console:
    """Return a console that keeps tables whole where the output is no terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=console_width)


def _verdict(*, ok: bool) -> str:
    return "[green]ok[/]" if ok else "[bold red]WRONG[/]"


def _counts(outcomes: dict[str, int]) -> str:
    return ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items()))
