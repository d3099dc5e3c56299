"""The figures that are computed from readings, orders and outcomes."""

import math

import pytest

from benchmarks.figures import (
    NothingConfirmed,
    Window,
    figures,
    medians,
    normalised,
    percentile,
    ratios,
)
from benchmarks.load import Placement
from benchmarks.meter import ProgramRestarted, Reading
from benchmarks.outcomes import OrderOutcome

PIDS = {"web": 7}


def reading(at: float, *, cpu_ms: dict[str, float], factor: int, busy: float = 0.0) -> Reading:
    return Reading(
        at=at,
        commits=10 * factor,
        wal_bytes=1000 * factor,
        messages=4 * factor,
        stripe_calls=6 * factor,
        cpu_ms=cpu_ms,
        machine_busy_ms=busy,
        pids=PIDS,
    )


@pytest.fixture
def window() -> Window:
    idle = dict.fromkeys(("web", "worker-checkout", "worker-settlement", "sandbox"), 100.0)
    spent = {"web": 110.0, "worker-checkout": 140.0, "worker-settlement": 120.0, "sandbox": 104.0}
    return Window(
        before=reading(1000.0, cpu_ms={**idle, "load generator": 5.0}, factor=1),
        after=reading(1002.0, cpu_ms={**spent, "load generator": 6.0}, factor=2, busy=575.0),
        slow=2.0,
    )


PLACEMENTS = [
    Placement(due=999.0, responded_at=1000.5, order_id="before the window"),
    Placement(due=1000.0, responded_at=1000.1, order_id="a"),
    Placement(due=1001.0, responded_at=1001.3, order_id="b"),
    Placement(due=1001.5, responded_at=1001.6, failure="429 too-many-requests"),
    Placement(due=1001.9, responded_at=1002.1, order_id="late"),
    Placement(due=1002.0, responded_at=1002.1, order_id="after the window"),
]
OUTCOMES = {
    "before the window": OrderOutcome("confirmed", "", 1000.9, 1001.0),
    "a": OrderOutcome("confirmed", "", 1000.5, 1001.9),
    "b": OrderOutcome("cancelled", "card_declined", None, 1001.9),
    "late": OrderOutcome("confirmed", "", 1003.9, 1004.0),
    "after the window": OrderOutcome("confirmed", "", 1002.5, None),
}


def test_rates_count_orders_confirmed_and_latencies_orders_sent_in_the_window(
    window: Window,
) -> None:
    found = figures(window, PLACEMENTS, OUTCOMES)

    assert found["orders confirmed in the window"] == 2
    assert found["orders confirmed per second"] == 1.0
    assert found["orders completed per second"] == 1.5
    assert found["orders sent in the window"] == 4
    assert found["orders that failed"] == 2
    assert found["POST to 202 p50 ms"] == pytest.approx(200)
    assert found["POST to 202 p99 ms"] == pytest.approx(300)
    assert found["POST to confirmed p50 ms"] == pytest.approx(500)
    assert found["POST to confirmed p99 ms"] == pytest.approx(2000)


def test_costs_are_per_order_and_the_system_excludes_load_generator_and_sandbox(
    window: Window,
) -> None:
    found = figures(window, PLACEMENTS, OUTCOMES)

    assert found["commits per order"] == 5
    assert found["Celery messages per order"] == 2
    assert found["Stripe calls per order"] == 3
    assert found["WAL bytes per order"] == 500
    assert found["CPU ms per order, web"] == 5
    assert found["CPU ms per order, all workers"] == 30
    assert found["CPU ms per order, the system"] == 35
    assert found["CPU ms per order, sandbox"] == 2
    assert found["CPU ms per order, load generator"] == 0.5
    assert found["cores busy"] == pytest.approx(0.2875)
    assert found["cores busy with something else"] == pytest.approx(0.25)


def test_only_rates_and_costs_are_normalised_by_the_machines_speed(
    window: Window,
) -> None:
    found = normalised(figures(window, PLACEMENTS, OUTCOMES))

    assert found["orders confirmed per second"] == 2.0
    assert found["CPU ms per order, web"] == 2.5
    assert {name for name in found if not name.startswith("CPU ms per order")} == {
        "orders confirmed per second",
        "orders completed per second",
    }


def test_a_window_without_a_confirmed_order_has_no_figures(window: Window) -> None:
    with pytest.raises(NothingConfirmed):
        figures(window, PLACEMENTS, {})


def test_a_window_with_a_restarted_program_has_no_figures(window: Window) -> None:
    restarted = window._replace(after=window.after._replace(pids={"web": 8}))

    with pytest.raises(ProgramRestarted):
        figures(restarted, PLACEMENTS, OUTCOMES)


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([3.0, 1.0, 2.0], 50, 2.0),
        (list(range(1, 101)), 95, 95),
        (list(range(1, 101)), 99, 99),
        (list(range(1, 102)), 99, 100),
        ([5.0], 99, 5.0),
        ([5.0, 6.0], 1, 5.0),
    ],
)
def test_a_percentile_is_one_of_the_values(
    values: list[float], percent: float, expected: float
) -> None:
    assert percentile(values, percent) == expected


def test_no_values_have_no_percentile() -> None:
    assert math.isnan(percentile([], 50))


def test_medians_are_taken_figure_by_figure() -> None:
    assert medians([{"a": 1, "b": 9}, {"a": 5, "b": 1}, {"a": 2, "b": 2}]) == {"a": 2, "b": 2}


def test_ratios_are_new_by_old_where_both_have_a_value_and_the_old_is_not_0() -> None:
    new, old = {"a": 3.0, "b": 0.0, "c": 1.0, "d": 1.0}, {"a": 2.0, "b": 4.0, "c": 0.0}

    assert ratios(new, old) == {"a": 1.5, "b": 0.0}
