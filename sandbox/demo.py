"""`make demo`: shows the scenarios, then places a trickle of orders until Ctrl-C."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

from sandbox.addresses import addresses, desk_url
from sandbox.drive.deadlines import StopSignal
from sandbox.drive.open_orders import order_to_approve, order_to_authenticate
from sandbox.drive.repair import OrderToRepair
from sandbox.drive.report import terminal
from sandbox.drive.scenario_groups import demo_groups
from sandbox.drive.scenario_runner import Drive
from sandbox.drive.scenarios import APPROVAL, AUTHENTICATED, KILLED, REFUNDED
from sandbox.drive.shop import Shop
from sandbox.drive.trickle import EVERY_SECONDS, Trickle, TrickleStatus
from sandbox.management import manage
from sandbox.run_directory import UP
from sandbox.system import System, running

LINE_EVERY_SECONDS: Final = 60  # if the output is not a terminal
UP_AND_RUNNING: Final = "Up. Ctrl-C stops everything; the data stays in var/up."


def demo(caller: Mapping[str, str], tell: Callable[[str], None]) -> int:
    """Show the scenarios, print the addresses, and stay up. Returns 1 if a check failed."""
    console = terminal()
    with UP.locked(), running(UP, caller, tell=tell, refills=True) as system:
        drive = Drive(system, console)
        report = drive.run(demo_groups, with_background_customers=True)
        if not report.ok:
            tell("\nNOT as expected: see the tables above, and the logs in var/up/log.")
        tell(addresses(system))
        for text, scenario in (
            ("An order whose worker was killed with SIGKILL during the charge:", KILLED),
            ("An order that was cancelled and refunded:", REFUNDED),
            ("An order whose customer authenticated it by 3-D Secure:", AUTHENTICATED),
            ("A large order that the shop approved:", APPROVAL),
        ):
            for order_id in drive.orders_of(scenario)[:1]:
                tell(f"\n  {text}\n    {desk_url(system, order_id)}")
        Afterwards(system, drive, console, tell).stay()
    return int(not report.ok)


class Afterwards:
    """What runs after the scenarios: a trickle of orders, and orders that wait for a person."""

    def __init__(
        self, system: System, drive: Drive, console: Console, tell: Callable[[str], None]
    ) -> None:
        self._system = system
        self._console = console
        self._tell = tell
        self._stop_signal = stop_signal = StopSignal()
        self._shop = shop = Shop(system.base_url, system.own_token, stop_signal)
        self._tell_at = time.monotonic() + LINE_EVERY_SECONDS
        self._to_repair: OrderToRepair | None = None
        if drive.stripe is not None:
            self._to_repair = OrderToRepair(shop, drive.stripe, system.environment)
        self._trickle = Trickle(
            shop,
            drive.stripe,
            stop_signal,
            is_paused=system.directory.is_ordering_paused,
            refill=self._refill,
        )

    def stay(self) -> None:
        """Keep everything running until a signal ends it."""
        self._offer_open_orders()
        if self._to_repair is not None:
            self._tell(f"""
  An order for you to repair:
    {desk_url(self._system, self._to_repair.id)}
    Stripe refuses the API key when the order is charged. The order is retried, and flagged after
    eight attempts, within a minute. Switch the fault off on the page of Stripe's sandbox, then retry
    the order at the desk.""")
        self._tell(f"\n{UP_AND_RUNNING}")
        with self._trickle.running(), self._shown() as show:
            self._system.stay(meanwhile=show)

    def _offer_open_orders(self) -> None:
        """Leave an order that waits for its customer, and one that waits for the shop."""
        stripe_url = self._system.stripe_url
        asking = order_to_authenticate(self._shop, stripe_url) if stripe_url else None
        if asking is not None:
            self._tell(f"""
  An order whose payment you can authenticate, within 15 minutes:
    {desk_url(self._system, asking.id)}
    {asking.page}""")
        large = order_to_approve(self._shop, self._system, self._stop_signal)
        if large is not None:
            self._tell(f"""
  A large order that you can approve or reject, at the desk or by its signed link:
    {desk_url(self._system, large.id)}
    {large.page}""")

    @contextmanager
    def _shown(self) -> Iterator[Callable[[], None]]:
        """Yield a function that updates the status line; call it repeatedly."""
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            with Live(get_renderable=self._line, console=self._console, transient=True):
                yield self._poll
        else:
            yield self._poll_and_tell

    def _poll(self) -> None:
        if self._to_repair is not None:
            self._to_repair.poll()

    def _poll_and_tell(self) -> None:
        self._poll()
        if time.monotonic() > self._tell_at:
            self._tell_at = time.monotonic() + LINE_EVERY_SECONDS
            self._tell(str(self._line()))

    def _line(self) -> Text:
        lines = [status_line(self._trickle.status())]
        if self._to_repair is not None:
            lines.append(self._to_repair.in_words())
        return Text("\n".join(lines), style="bright_black")

    def _refill(self) -> None:
        manage(self._system.environment, "load_catalogue", "--refill")


def status_line(status: TrickleStatus) -> str:
    """Describe the trickle in one line."""
    if status.problem:
        return f"The next order waits: {status.problem}"
    if status.is_paused:
        return "No new orders: `make check` is comparing orders, payments and stock."
    ended = ", ".join(f"{number} {end}" for end, number in sorted(status.ended.items()))
    return (
        f"An order every {EVERY_SECONDS:.0f} s: {status.placed} placed, {ended or '0 ended'}, "
        f"{status.under_way} under way. Last: {status.last or '-'}."
    )
