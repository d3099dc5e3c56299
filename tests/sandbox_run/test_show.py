"""The show: every scenario has its act, and the view says what is true, in any width."""

import io
import re
from collections import Counter
from itertools import islice

import pytest
from rich.console import Console

from sandbox.drive import board as boards
from sandbox.drive.acts import for_a_test, for_spectators
from sandbox.drive.board import Board, percentile
from sandbox.drive.processes import Processes
from sandbox.drive.report import Result
from sandbox.drive.scenarios import SCARCE, scenarios
from sandbox.drive.shop import Order, Product
from sandbox.drive.trickle import visits
from sandbox.drive.view import View
from sandbox.supervision import Status, Supervisor

PRODUCTS = {"MUG": Product(500, 1000), "TEE": Product(700, 1000), SCARCE: Product(900, 5)}
ESCAPE = "\x1b"


def order(number: int, status: str = "placed", **fields: object) -> Order:
    return Order(f"order-{number:06}", status, "", 500, {"MUG": 1})._replace(**fields)  # type: ignore[arg-type]


class FakeClock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    monkeypatch.setattr(boards, "time", clock)
    return clock


@pytest.fixture
def board(clock: FakeClock) -> Board:
    return Board(_began=clock.now)


def test_spectators_see_every_scenario_of_the_test_and_more() -> None:
    tested = [each.name for act in for_a_test(PRODUCTS) for each in act.scenarios]
    shown = [each.name for act in for_spectators(PRODUCTS) for each in act.scenarios]

    assert tested == [each.name for each in scenarios(PRODUCTS)]
    assert Counter(shown) == Counter(
        (
            *tested,
            *("cancelled after the money was taken", "all workers killed in a rush"),
            "PostgreSQL killed in a rush",
        )
    )


def test_faults_of_one_act_never_meet_the_cards_of_another_scenario() -> None:
    for act in for_spectators(PRODUCTS):
        struck = [each.carts[0].payment_method for each in act.scenarios if each.fault]
        cards = [
            card for each in act.scenarios for card in {cart.payment_method for cart in each.carts}
        ]
        assert [cards.count(card) for card in struck] == [1] * len(struck)


def test_the_drive_of_the_test_has_the_orders_that_the_documents_name() -> None:
    assert sum(len(each.carts) for each in scenarios(PRODUCTS)) == 77


def test_orders_are_counted_where_they_stand(board: Board, clock: FakeClock) -> None:
    for number in range(5):
        board.accepted(order(number))
    board.seen(order(0, "confirmed", took=0.5))
    board.seen(order(1, "cancelling"))
    board.seen(order(2, "cancelled"))
    clock.now += 3.5
    board.accepted(order(5))
    board.accepted(order(5))  # the same request again
    board.seen(order(99, "confirmed"))  # somebody else's

    glance = board.glance()

    assert glance.counts == {"confirmed": 1, "cancelled": 1, "waiting": 3, "placed": 1}
    assert glance.accepted == 6
    assert glance.per_second == pytest.approx(6 / 3.5)
    assert glance.confirmed_minor == 500
    assert (glance.p50, glance.p95) == (0.5, 0.5)


def test_a_blow_is_followed_until_everybody_has_got_over_it(board: Board, clock: FakeClock) -> None:
    board.accepted(order(1))
    board.accepted(order(2))
    board.accepted(order(3, "confirmed"))
    board.struck("Killed")
    board.accepted(order(4))
    assert board.glance().aftermath == "2 orders were under way; 0 moved on so far"

    clock.now += 4
    board.seen(order(1, "confirmed"))
    board.seen(order(4, "confirmed"))
    assert board.glance().aftermath == "2 orders were under way; 1 moved on so far"
    clock.now += 7
    board.seen(order(2, "cancelling"))
    clock.now += 9
    board.seen(order(2, "cancelled"))

    assert board.glance().aftermath == "2 orders were under way; moved on within 11.0 s"
    board.next_act()
    assert board.glance().aftermath == ""


def test_percentiles_are_of_all_values_and_none_of_nothing() -> None:
    assert percentile([], 50) is None
    assert percentile([2.0], 95) == 2.0
    assert percentile([float(value) for value in range(101)], 95) == 95.0


class ScriptedSupervisor(Supervisor):
    """Says what it is told to: the end of a real process is seen in the tests of whole runs."""

    def __init__(self, *pids: int) -> None:
        self.pids = iter(pids)

    def statuses(self) -> dict[str, Status]:
        pid = next(self.pids)
        running = bool(pid)
        status = Status(running=running, settled=running, pid=pid, ended_at=0)
        return {} if pid < 0 else {"worker-checkout": status}


def test_ends_and_returns_of_processes_are_told_once(board: Board) -> None:
    processes = Processes(ScriptedSupervisor(7, 7, 0, 0, -1, 9, 9, 11), board)

    for _ in range(8):
        processes._look()

    assert [event.text for event in board.events] == [
        "Gone: checkout worker (process 7)",
        "Back: checkout worker, process 9 instead of 7",
        "Back: checkout worker, process 11 instead of 9",
    ]


def shown(width: int, clock: FakeClock, *, is_terminal: bool) -> str:
    """A moment of the show, as it is written to a terminal or to a pipe."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=is_terminal, width=width, height=24, highlight=False)
    board = Board(_began=clock.now)
    processes = Processes(ScriptedSupervisor(7, 0), board)
    acts = for_spectators(PRODUCTS)
    view = View(acts, board, processes, lambda _: 123456, console)
    with view.shown():
        view.begin(acts[4])
        processes._look()
        board.accepted(order(1))
        board.struck("Killed with SIGKILL: [checkout worker]")
        processes._look()
        board.seen(order(1, "confirmed", took=1.25))
        view.finished(Result("worker killed", 1, {"confirmed": 1}, {"confirmed": 1}, ""))
        view.finished(Result("other", 1, {"confirmed": 1}, {}, "NotEnded: [order]"))
        view.end()
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_a_terminal_is_redrawn_within_its_size(width: int, clock: FakeClock) -> None:
    drawn = shown(width, clock, is_terminal=True)

    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn).replace("\r", "").splitlines()
    assert max(map(len, lines)) <= width
    frame = "\n".join(lines)
    assert "A worker is killed with SIGKILL in the middle of a charge" in frame
    assert "5 of 8" in frame
    assert "1,234.56 at the bank" in frame
    assert "✗ checkout gone" in frame
    assert frame.count("╰") % 2 == 0


def test_a_pipe_gets_lines_without_escape_codes(clock: FakeClock) -> None:
    said = shown(120, clock, is_terminal=False)

    assert ESCAPE not in said
    assert said.splitlines() == [
        "",
        "5. A worker is killed with SIGKILL in the middle of a charge",
        "   Its lease of 10 seconds runs out; then another looks what the bank has done.",
        "   0:00 Killed with SIGKILL: [checkout worker]",
        "   0:00 Gone: checkout worker (process 7)",
        "   ok worker killed: 1 confirmed",
        "   WRONG other: NotEnded: [order]; expected: 1 confirmed",
        "   1 order was under way; moved on within 0.0 s",
    ]


def test_the_trickle_is_a_mix_that_comes_round_in_a_minute() -> None:
    minute = list(islice(visits(PRODUCTS), 15))

    cards = Counter(visit.cart.payment_method for visit in minute)
    assert cards["pm_card_visa"] > len(minute) / 2
    assert sum(count for card, count in cards.items() if "Declined" in card) >= 2
    assert {visit.fault.kind for visit in minute if visit.fault} == {"latency", "timeout_after"}
    assert all(visit.fault.times == 1 for visit in minute if visit.fault)
    assert [visit.changes_mind for visit in minute].count(True) == 1
    assert [visit.cart.items for visit in minute].count(((SCARCE, 1),)) == 1
