"""The demo: every scenario is in a group, and the view is correct at every width."""

import io
import re
from collections import Counter
from itertools import islice

import pytest
from rich.console import Console

from inventory.demo_catalogue import ARTICLES
from sandbox.application import REVIEW_ABOVE_MINOR
from sandbox.drive import order_tracker
from sandbox.drive.order_tracker import OrderTracker, percentile
from sandbox.drive.process_watcher import ProcessWatcher
from sandbox.drive.report import ScenarioResult
from sandbox.drive.scenario_groups import demo_groups, smoke_groups
from sandbox.drive.scenarios import SCARCE, scenarios
from sandbox.drive.shop import ShopOrder, ShopProduct
from sandbox.drive.trickle import visits
from sandbox.drive.view import View
from sandbox.supervision import Status, Supervisor

PRODUCTS = {
    "MUG": ShopProduct(500, 1000),
    "TEE": ShopProduct(700, 1000),
    SCARCE: ShopProduct(900, 5),
}
ESCAPE = "\x1b"


def order(number: int, status: str = "placed", **fields: object) -> ShopOrder:
    return ShopOrder(f"order-{number:06}", status, "", 500, "eur", {"MUG": 1})._replace(**fields)  # type: ignore[arg-type]


class FakeClock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    monkeypatch.setattr(order_tracker, "time", clock)
    return clock


@pytest.fixture
def tracker(clock: FakeClock) -> OrderTracker:
    return OrderTracker(_began=clock.now)


def test_the_demo_shows_every_scenario_of_the_smoke_test_that_moves_no_clock_and_more() -> None:
    *groups, last = smoke_groups(PRODUCTS)
    tested = [case.name for group in groups for case in group.scenarios]
    shown = [case.name for group in demo_groups(PRODUCTS) for case in group.scenarios]

    assert tested == [scenario.name for scenario in scenarios(PRODUCTS)]
    assert [case.name for case in last.scenarios] == [
        "three_d_secure_abandoned",
        "approval_overdue",
    ]
    assert Counter(shown) == Counter(
        (
            *tested,
            *("cancelled after the capture", "all workers killed during a burst"),
            "PostgreSQL killed during a burst",
        )
    )


def test_a_fault_never_hits_the_cards_of_another_scenario_of_its_group() -> None:
    for group in demo_groups(PRODUCTS):
        failing = [case.carts[0].payment_method for case in group.scenarios if case.fault]
        cards = [
            card
            for case in group.scenarios
            for card in {cart.payment_method for cart in case.carts}
        ]
        assert [cards.count(card) for card in failing] == [1] * len(failing)


def test_the_smoke_test_has_86_orders() -> None:
    cases = [case for group in smoke_groups(PRODUCTS) for case in group.scenarios]
    assert sum(len(case.carts) for case in cases) == 86


def test_only_large_carts_are_reviewed() -> None:
    """By the prices of the demo catalogue and the limit that the runs set."""
    products = {
        article.sku: ShopProduct(article.price_minor, article.stock) for article in ARTICLES
    }
    limit = int(REVIEW_ABOVE_MINOR)
    groups = (*demo_groups(products), *smoke_groups(products))

    for case in {case.name: case for group in groups for case in group.scenarios}.values():
        for cart in case.carts:
            total = sum(products[sku].price_minor * quantity for sku, quantity in cart.items)
            assert (total > limit) == (case.name in {"approval", "approval_overdue"})


def test_orders_are_counted_by_status(tracker: OrderTracker, clock: FakeClock) -> None:
    for number in range(5):
        tracker.record_accepted(order(number))
    tracker.record(order(0, "confirmed", seconds=0.5))
    tracker.record(order(1, "cancelling"))
    tracker.record(order(2, "cancelled"))
    clock.now += 3.5
    tracker.record_accepted(order(5))
    tracker.record_accepted(order(5))  # the same request again
    tracker.record(order(99, "confirmed"))  # not tracked: another run's

    snapshot = tracker.snapshot()

    assert snapshot.counts == {"confirmed": 1, "cancelled": 1, "waiting": 3, "placed": 1}
    assert snapshot.accepted == 6
    assert snapshot.per_second == pytest.approx(6 / 3.5)
    assert (snapshot.confirmed_minor, snapshot.currency) == (500, "eur")
    assert (snapshot.p50, snapshot.p95) == (0.5, 0.5)


def test_a_disruption_is_followed_until_every_order_has_recovered(
    tracker: OrderTracker, clock: FakeClock
) -> None:
    tracker.record_accepted(order(1))
    tracker.record_accepted(order(2))
    tracker.record_accepted(order(3, "confirmed"))
    tracker.record_disruption("Killed")
    tracker.record_accepted(order(4))
    assert tracker.snapshot().recovery == "2 orders were under way; 0 moved on so far"

    clock.now += 4
    tracker.record(order(1, "confirmed"))
    tracker.record(order(4, "confirmed"))
    assert tracker.snapshot().recovery == "2 orders were under way; 1 moved on so far"
    clock.now += 7
    tracker.record(order(2, "cancelling"))
    clock.now += 9
    tracker.record(order(2, "cancelled"))

    assert tracker.snapshot().recovery == "2 orders were under way; moved on within 11.0 s"
    tracker.start_group()
    assert tracker.snapshot().recovery == ""


def test_percentiles_need_at_least_one_value() -> None:
    assert percentile([], 50) is None
    assert percentile([2.0], 95) == 2.0
    assert percentile([float(value) for value in range(101)], 95) == 95.0


class ScriptedSupervisor(Supervisor):
    """Returns the given pids one after the other: 0 for an ended process, below 0 for no answer."""

    def __init__(self, *pids: int) -> None:
        self.pids = iter(pids)

    def statuses(self) -> dict[str, Status]:
        pid = next(self.pids)
        running = bool(pid)
        status = Status(running=running, settled=running, pid=pid, ended_at=0)
        return {} if pid < 0 else {"worker-checkout": status}


def test_each_end_and_restart_of_a_process_is_one_event(tracker: OrderTracker) -> None:
    processes = ProcessWatcher(ScriptedSupervisor(7, 7, 0, 0, -1, 9, 9, 11), tracker)

    for _ in range(8):
        processes._poll()

    assert [event.text for event in tracker.events] == [
        "Gone: checkout worker (process 7)",
        "Back: checkout worker, process 9 instead of 7",
        "Back: checkout worker, process 11 instead of 9",
    ]


def screen(width: int, clock: FakeClock, *, is_terminal: bool) -> str:
    """Return what the view writes to a terminal or to a pipe for a short drive."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=is_terminal, width=width, height=24, highlight=False)
    tracker = OrderTracker(_began=clock.now)
    processes = ProcessWatcher(ScriptedSupervisor(7, 0), tracker)
    groups = demo_groups(PRODUCTS)
    view = View(groups, tracker, processes, lambda _: 123456, console)
    with view.shown():
        view.begin(groups[5])
        processes._poll()
        tracker.record_accepted(order(1))
        tracker.record_disruption("Killed with SIGKILL: [checkout worker]")
        processes._poll()
        tracker.record(order(1, "confirmed", seconds=1.25))
        view.finished(ScenarioResult("worker killed", 1, {"confirmed": 1}, {"confirmed": 1}, ""))
        view.finished(ScenarioResult("other", 1, {"confirmed": 1}, {}, "NotEnded: [order]"))
        view.end()
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_a_terminal_is_redrawn_within_its_width(width: int, clock: FakeClock) -> None:
    drawn = screen(width, clock, is_terminal=True)

    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn).replace("\r", "").splitlines()
    assert max(map(len, lines)) <= width
    frame = "\n".join(lines)
    assert "A worker is killed with SIGKILL in the middle of a charge" in frame
    assert "6 of 9" in frame
    assert "1,234.56 EUR at Stripe" in frame
    assert "✗ checkout gone" in frame
    assert frame.count("╰") % 2 == 0


def test_a_pipe_gets_lines_without_escape_codes(clock: FakeClock) -> None:
    output = screen(120, clock, is_terminal=False)

    assert ESCAPE not in output
    assert output.splitlines() == [
        "",
        "6. A worker is killed with SIGKILL in the middle of a charge",
        "   Its lease of 10 s expires; another worker looks up what Stripe has done.",
        "   0:00 Killed with SIGKILL: [checkout worker]",
        "   0:00 Gone: checkout worker (process 7)",
        "   ok worker killed: 1 confirmed",
        "   WRONG other: NotEnded: [order]; expected: 1 confirmed",
        "   1 order was under way; moved on within 0.0 s",
    ]


def test_the_trickle_repeats_its_mix_within_a_minute() -> None:
    minute = list(islice(visits(PRODUCTS), 15))

    cards = Counter(visit.cart.payment_method for visit in minute)
    assert cards["pm_card_visa"] > len(minute) / 2
    assert sum(count for card, count in cards.items() if "Declined" in card) >= 2
    assert {visit.fault.kind for visit in minute if visit.fault} == {"latency", "timeout_after"}
    assert all(visit.fault.times == 1 for visit in minute if visit.fault)
    assert [visit.changes_mind for visit in minute].count(True) == 1
    assert [visit.cart.items for visit in minute].count(((SCARCE, 1),)) == 1
