"""`make demo`: the drive as a show, then a slow trickle of orders until Ctrl-C."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

from sandbox.addresses import addresses, desk_url
from sandbox.drive.acts import for_spectators
from sandbox.drive.deadlines import Patience
from sandbox.drive.repair import OrderToRepair
from sandbox.drive.report import terminal
from sandbox.drive.scenario_runner import Drive
from sandbox.drive.scenarios import KILLED, REFUNDED
from sandbox.drive.shop import Shop
from sandbox.drive.trickle import EVERY_SECONDS, Standing, Trickle
from sandbox.management import manage
from sandbox.run_directory import UP
from sandbox.system import System, running

LINE_EVERY_SECONDS: Final = 60  # where the status line cannot be redrawn
UP_AND_RUNNING: Final = "Up. Ctrl-C stops everything; the data stays in var/up."


def demo(caller: Mapping[str, str], tell: Callable[[str], None]) -> int:
    """Show the scenarios, print the addresses, and stay up. Returns 1 if a check failed."""
    console = terminal()
    with UP.held(), running(UP, caller, tell=tell, refills=True) as system:
        drive = Drive(system, console)
        report = drive.run(for_spectators, with_everyday_customers=True)
        if not report.ok:
            tell("\nNOT as expected: see the tables above, and the logs in var/up/log.")
        tell(addresses(system))
        for words, scenario in (
            ("An order whose worker was killed with SIGKILL while it was charged:", KILLED),
            ("An order that was cancelled and refunded:", REFUNDED),
        ):
            for order_id in drive.orders_of(scenario)[:1]:
                tell(f"\n  {words}\n    {desk_url(system, order_id)}")
        Afterwards(system, drive, console, tell).stay()
    return int(not report.ok)


class Afterwards:
    """What runs after the scenarios: a trickle of orders, and one order to repair."""

    def __init__(
        self, system: System, drive: Drive, console: Console, tell: Callable[[str], None]
    ) -> None:
        self._system = system
        self._console = console
        self._tell = tell
        patience = Patience()
        shop = Shop(system.base_url, system.own_token, patience)
        self._tell_at = time.monotonic() + LINE_EVERY_SECONDS
        self._to_repair: OrderToRepair | None = None
        if drive.bank is not None:
            self._to_repair = OrderToRepair(shop, drive.bank, system.environment)
        self._trickle = Trickle(
            shop, drive.bank, patience, is_quiet=system.directory.is_quiet, refill=self._refill
        )

    def stay(self) -> None:
        """Keep everything up until a signal asks for the end."""
        if self._to_repair is not None:
            self._tell(f"""
  An order for you to repair:
    {desk_url(self._system, self._to_repair.id)}
    The bank refuses our key when it is to be paid. It is tried again and again, and flagged
    after eight attempts, within a minute. Switch the fault off at the bank, then retry it at the
    desk.""")
        self._tell(f"\n{UP_AND_RUNNING}")
        with self._trickle.running(), self._shown() as show:
            self._system.stay(meanwhile=show)

    @contextmanager
    def _shown(self) -> Iterator[Callable[[], None]]:
        """Yield a function that keeps the status line up to date; call it repeatedly."""
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            with Live(get_renderable=self._line, console=self._console, transient=True):
                yield self._look
        else:
            yield self._look_and_tell

    def _look(self) -> None:
        if self._to_repair is not None:
            self._to_repair.look()

    def _look_and_tell(self) -> None:
        self._look()
        if time.monotonic() > self._tell_at:
            self._tell_at = time.monotonic() + LINE_EVERY_SECONDS
            self._tell(str(self._line()))

    def _line(self) -> Text:
        lines = [in_words(self._trickle.standing())]
        if self._to_repair is not None:
            lines.append(self._to_repair.in_words())
        return Text("\n".join(lines), style="bright_black")

    def _refill(self) -> None:
        manage(self._system.environment, "load_catalogue", "--refill")


def in_words(standing: Standing) -> str:
    """Describe the trickle in one line."""
    if standing.trouble:
        return f"The next order waits: {standing.trouble}"
    if standing.is_quiet:
        return "No orders for a while: the books are being checked."
    ended = ", ".join(f"{number} {status}" for status, number in sorted(standing.ended.items()))
    return (
        f"An order every {EVERY_SECONDS:.0f} s: {standing.placed} placed, {ended or '0 ended'}, "
        f"{standing.under_way} under way. Last: {standing.last or '-'}."
    )
