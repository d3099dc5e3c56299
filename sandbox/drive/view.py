"""Shows the drive while it runs: redrawn in a terminal, printed as lines where it cannot be redrawn."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sandbox.drive.order_tracker import FeedEvent, OrderTracker, Snapshot
from sandbox.drive.process_watcher import ProcessState, ProcessWatcher
from sandbox.drive.report import ScenarioResult, status_label
from sandbox.drive.scenario_groups import ScenarioGroup
from sandbox.programs import display_name
from sandbox.stripe_api.currencies import show_minor_units

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
    """Shows groups of scenarios.

    ``at_stripe`` returns how much Stripe holds or has captured for some orders, in minor units;
    None if Stripe's sandbox is not part of the run.
    """

    def __init__(
        self,
        groups: Sequence[ScenarioGroup],
        tracker: OrderTracker,
        processes: ProcessWatcher,
        at_stripe: Callable[[frozenset[str]], int] | None,
        console: Console,
    ) -> None:
        self._groups = groups
        self._tracker = tracker
        self._processes = processes
        self._at_stripe = at_stripe
        self._console = console
        self._group = groups[0]
        self._results: list[ScenarioResult] = []
        self._is_live = console.is_terminal and not console.is_dumb_terminal
        if not self._is_live:
            tracker.on_event = self._print_event

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Redraw until the block ends; then remove it from the screen."""
        if not self._is_live:
            yield
            return
        with Live(
            get_renderable=self._render,
            console=self._console,
            refresh_per_second=REDRAWN_PER_SECOND,
            transient=True,
        ):
            yield

    def begin(self, group: ScenarioGroup) -> None:
        self._group, self._results = group, []
        if not self._is_live:
            self._console.print(f"\n{self._position()}. {group.title}")
            if group.text:
                self._console.print(f"   {group.text}")

    def end(self) -> None:
        """Print how the orders that were under way recovered, if something was killed or flushed."""
        if not self._is_live and (recovery := self._tracker.snapshot().recovery):
            self._console.print(f"   {recovery}", markup=False)

    def finished(self, result: ScenarioResult) -> None:
        self._results.append(result)
        if not self._is_live:
            self._console.print(f"   {_ended(result)}")

    def _print_event(self, event: FeedEvent) -> None:
        if event.is_notable:
            self._console.print(f"   {_clock(event.at)} {event.text}", markup=False)

    def _position(self) -> int:
        return self._groups.index(self._group) + 1

    def _render(self) -> RenderableType:
        snapshot = self._tracker.snapshot()
        room = self._console.height - LINES_BESIDE_THE_FEED
        lines = min(max(room, FEWEST_FEED_LINES), MOST_FEED_LINES)
        return Group(
            self._panel(snapshot),
            _bars(snapshot, self._console.width),
            self._figures(snapshot),
            _dots(self._processes.states(), self._console.width),
            _feed(list(self._tracker.events)[-lines:], lines),
        )

    def _panel(self, snapshot: Snapshot) -> Panel:
        lines = [self._group.text] if self._group.text else []
        lines += [f"[yellow]{escape(snapshot.recovery)}[/]"] if snapshot.recovery else []
        lines += [_ended(result) for result in self._results[-2:]]
        return Panel(
            "\n".join(lines) or " ",
            title=f"[bold]{self._group.title}[/]",
            title_align="left",
            subtitle=f"{self._position()} of {len(self._groups)}, {_clock(snapshot.elapsed)}",
            subtitle_align="right",
            height=6,
        )

    def _figures(self, snapshot: Snapshot) -> Table:
        grid = Table.grid(padding=(0, 2))
        grid.add_row(
            f" [b]{snapshot.accepted}[/] orders, [b]{snapshot.per_second:.1f}[/] per second",
            f"accepted to confirmed: median [b]{_seconds(snapshot.p50)}[/], 95% [b]{_seconds(snapshot.p95)}[/]",
        )
        if self._at_stripe is not None:
            at_stripe = self._at_stripe(snapshot.order_ids)
            grid.add_row(
                f" [b]{_amount(at_stripe, snapshot.currency)}[/] at Stripe",
                f"[b]{_amount(snapshot.confirmed_minor, snapshot.currency)}[/] owed for confirmed orders",
            )
        return grid


def _ended(result: ScenarioResult) -> str:
    return f"{status_label(ok=result.ok)} {result.name}: {escape(result.in_words())}"


def _bars(snapshot: Snapshot, width: int) -> Table:
    grid = Table.grid(padding=(0, 1))
    longest = max(int(width * BAR_SHARE), 10)
    full = max(max(snapshot.counts.values(), default=0), longest)
    for name, color in COLUMNS.items():
        number = snapshot.counts.get(name, 0)
        bar = "█" * (-(-number * longest // full))
        grid.add_row(f" {name:<10}", Text(bar, style=color), str(number))
    return grid


def _dots(states: Mapping[str, ProcessState], width: int) -> Text:
    lines = [Text(" ")]
    for name, state in states.items():
        dot = _dot(name, state)
        if lines[-1].cell_len + dot.cell_len > width:
            lines.append(Text(" "))
        lines[-1].append_text(dot).append("  ")
    return Text("\n").join(lines)


def _dot(name: str, state: ProcessState) -> Text:
    label = display_name(name).removesuffix(" worker")
    if not state.pid:
        return Text(f"✗ {label} gone", style="bold red")
    if state.previous_pid:
        replaced = f"● {label} {state.previous_pid}→{state.pid}"
        return Text(replaced, style="bold yellow")
    return Text(f"● {label}", style="green")


def _feed(events: Sequence[FeedEvent], lines: int) -> Panel:
    text = Text(overflow="ellipsis", no_wrap=True)
    for event in events:
        style = "bold" if event.is_notable else "bright_black"
        text.append(f"{_clock(event.at)} {event.text}\n", style=style)
    return Panel(text, title="What happened last", title_align="left", height=lines + 2)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def _amount(minor: int, currency: str) -> str:
    return f"{show_minor_units(minor, currency)} {currency.upper()}" if currency else "0"
