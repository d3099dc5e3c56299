"""The drive while it runs: redrawn in a terminal, and as lines where nobody can redraw."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sandbox.drive.acts import Act
from sandbox.drive.board import Board, Event, Glance
from sandbox.drive.processes import Processes, Seen
from sandbox.drive.report import Result, verdict
from sandbox.programs import in_words

COLUMNS: Final = {
    "placed": "blue",
    "waiting": "yellow",
    "confirmed": "green",
    "cancelling": "dark_orange",
    "cancelled": "bright_black",
}
BAR_SHARE: Final = 0.55
REDRAWN_PER_SECOND: Final = 5
LINES_BESIDE_THE_FEED: Final = 20
FEWEST_FEED_LINES: Final = 4
MOST_FEED_LINES: Final = 13


class View:
    """``at_bank`` says what the bank holds or has taken for some orders; None without a bank."""

    def __init__(
        self,
        acts: Sequence[Act],
        board: Board,
        processes: Processes,
        at_bank: Callable[[frozenset[str]], int] | None,
        console: Console,
    ) -> None:
        self._acts = acts
        self._board = board
        self._processes = processes
        self._at_bank = at_bank
        self._console = console
        self._act = acts[0]
        self._results: list[Result] = []
        self._is_live = console.is_terminal and not console.is_dumb_terminal
        if not self._is_live:
            board.tell = self._say

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Redraw until the block ends; nothing of it is left then."""
        if not self._is_live:
            yield
            return
        with Live(
            get_renderable=self._drawn,
            console=self._console,
            refresh_per_second=REDRAWN_PER_SECOND,
            transient=True,
        ):
            yield

    def begin(self, act: Act) -> None:
        self._act, self._results = act, []
        if not self._is_live:
            self._console.print(f"\n{self._position()}. {act.title}")
            if act.words:
                self._console.print(f"   {act.words}")

    def end(self) -> None:
        """Say how those who were under way got over the blows of the act."""
        if not self._is_live and (aftermath := self._board.glance().aftermath):
            self._console.print(f"   {aftermath}", markup=False)

    def finished(self, result: Result) -> None:
        self._results.append(result)
        if not self._is_live:
            self._console.print(f"   {_ended(result)}")

    def _say(self, event: Event) -> None:
        if event.is_notable:
            self._console.print(f"   {_clock(event.at)} {event.text}", markup=False)

    def _position(self) -> int:
        return self._acts.index(self._act) + 1

    def _drawn(self) -> RenderableType:
        glance = self._board.glance()
        room = self._console.height - LINES_BESIDE_THE_FEED
        lines = min(max(room, FEWEST_FEED_LINES), MOST_FEED_LINES)
        return Group(
            self._scene(glance),
            _bars(glance, self._console.width),
            self._figures(glance),
            _dots(self._processes.glance(), self._console.width),
            _feed(list(self._board.events)[-lines:], lines),
        )

    def _scene(self, glance: Glance) -> Panel:
        words = [self._act.words] if self._act.words else []
        words += [f"[yellow]{escape(glance.aftermath)}[/]"] if glance.aftermath else []
        words += [_ended(result) for result in self._results[-2:]]
        return Panel(
            "\n".join(words) or " ",
            title=f"[bold]{self._act.title}[/]",
            title_align="left",
            subtitle=f"{self._position()} of {len(self._acts)}, {_clock(glance.elapsed)}",
            subtitle_align="right",
            height=6,
        )

    def _figures(self, glance: Glance) -> Table:
        grid = Table.grid(padding=(0, 2))
        grid.add_row(
            f" [b]{glance.accepted}[/] orders, [b]{glance.per_second:.1f}[/] per second",
            f"accepted to confirmed: median [b]{_seconds(glance.p50)}[/], 95% [b]{_seconds(glance.p95)}[/]",
        )
        if self._at_bank is not None:
            at_bank = self._at_bank(glance.order_ids)
            grid.add_row(
                f" [b]{_euros(at_bank)}[/] at the bank",
                f"[b]{_euros(glance.confirmed_minor)}[/] owed for confirmed orders",
            )
        return grid


def _ended(result: Result) -> str:
    return f"{verdict(ok=result.ok)} {result.name}: {escape(result.in_words())}"


def _bars(glance: Glance, width: int) -> Table:
    grid = Table.grid(padding=(0, 1))
    longest = max(int(width * BAR_SHARE), 10)
    full = max(max(glance.counts.values(), default=0), longest)
    for name, color in COLUMNS.items():
        number = glance.counts.get(name, 0)
        bar = "█" * (-(-number * longest // full))
        grid.add_row(f" {name:<10}", Text(bar, style=color), str(number))
    return grid


def _dots(seen: Mapping[str, Seen], width: int) -> Text:
    lines = [Text(" ")]
    for name, each in seen.items():
        dot = _dot(name, each)
        if lines[-1].cell_len + dot.cell_len > width:
            lines.append(Text(" "))
        lines[-1].append_text(dot).append("  ")
    return Text("\n").join(lines)


def _dot(name: str, seen: Seen) -> Text:
    label = in_words(name).removesuffix(" worker")
    if not seen.pid:
        return Text(f"✗ {label} gone", style="bold red")
    if seen.before:
        replaced = f"● {label} {seen.before}→{seen.pid}"
        return Text(replaced, style="bold yellow")
    return Text(f"● {label}", style="green")


def _feed(events: Sequence[Event], lines: int) -> Panel:
    text = Text(overflow="ellipsis", no_wrap=True)
    for event in events:
        style = "bold" if event.is_notable else "bright_black"
        text.append(f"{_clock(event.at)} {event.text}\n", style=style)
    return Panel(text, title="What happened last", title_align="left", height=lines + 2)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def _euros(minor: int) -> str:
    return f"{minor / 100:,.2f}"
