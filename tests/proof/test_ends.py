"""How a scenario may end: with a fault there may be a second right end."""

import pytest

from proof.oracle import OrderRow, wrong_ends
from proof.scenarios import CANCELLED, CONFIRMED, SCENARIOS, Scenario

ONE_END = Scenario("one-end", (), CONFIRMED)
TWO_ENDS = Scenario("two-ends", (), CANCELLED, ends_with_a_fault=CONFIRMED)


def test_without_a_fault_a_scenario_has_one_end() -> None:
    assert TWO_ENDS.allowed_ends(with_fault=False) == [CANCELLED]


def test_with_a_fault_a_scenario_may_have_a_second_end() -> None:
    assert TWO_ENDS.allowed_ends(with_fault=True) == [CANCELLED, CONFIRMED]
    assert ONE_END.allowed_ends(with_fault=True) == [CONFIRMED]


@pytest.mark.parametrize(
    ("status", "is_wrong"), [("confirmed", False), ("cancelled", False), ("placed", True)]
)
def test_any_of_the_allowed_ends_is_right(status: str, *, is_wrong: bool) -> None:
    orders = [OrderRow("an-order", status, 100)]

    found = list(wrong_ends(orders, TWO_ENDS.allowed_ends(with_fault=True)))

    assert bool(found) == is_wrong


def test_the_second_end_is_wrong_without_a_fault() -> None:
    orders = [OrderRow("an-order", "confirmed", 100)]

    [finding] = wrong_ends(orders, TWO_ENDS.allowed_ends(with_fault=False))

    assert finding.kind == "wrong-status"
    assert finding.detail == "{'confirmed': 1} instead of {'cancelled': 1}"


def test_an_order_too_many_is_a_wrong_end() -> None:
    orders = [OrderRow(name, "cancelled", 100) for name in ("first", "second")]

    assert list(wrong_ends(orders, [CANCELLED]))


def test_few_scenarios_have_a_second_end() -> None:
    assert {scenario.name for scenario in SCENARIOS if scenario.ends_with_a_fault} == {
        "authenticated-after-the-last-look",
        "review-approved-too-late",
    }
