"""Shows the progress of a proof: a bar on a terminal, elsewhere a line every 25 runs or 30 s."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

RUNS_PER_LINE: Final = 25
SECONDS_PER_LINE: Final = 30.0


class Progress:
    """Counts runs and findings. ``print_line`` prints one line; ``now`` returns seconds."""

    def __init__(
        self,
        total: int,
        print_line: Callable[[str], None],
        *,
        every: int = RUNS_PER_LINE,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total = total
        self._print_line = print_line
        self._every = every
        self._now = now
        self._began = self._printed_at = now()
        self._done = 0
        self._findings = 0

    def add(self, findings: int) -> None:
        """Count one run with its number of findings, and print a line when one is due."""
        self._done += 1
        self._findings += findings
        is_due = self._done % self._every == 0 or self._now() - self._printed_at >= SECONDS_PER_LINE
        if is_due or self._done == self._total:
            self._printed_at = self._now()
            self._print_line(str(self))

    def __str__(self) -> str:
        seconds = max(self._now() - self._began, 0.001)
        rate = self._done / seconds
        left = _minutes((self._total - self._done) / rate) if rate else "unknown"
        return (
            f"{self._done}/{self._total} runs, {self._findings} findings,"
            f" {rate:.1f} runs/s, {left} left"
        )


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s"


@contextmanager
def show_progress(console: Console, total: int) -> Iterator[Callable[[int], None]]:
    """Show progress while the block runs. Yields a function to call with each run's findings."""
    if not console.is_terminal:
        lines = Progress(total, lambda line: console.print(line, soft_wrap=True, highlight=False))
        yield lines.add
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("no findings", total=total)
        found = 0

        def add(findings: int) -> None:
            nonlocal found
            found += findings
            description = f"{found} findings" if found else "no findings"
            bar.update(task, advance=1, description=description)

        yield add
