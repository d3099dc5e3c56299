"""The proof compares the acts of each outside service with what the scenario expects."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest

from proof.effects import Effects, OrderEffects
from proof.oracle import OrderRow, _outside_services
from proof.world import World

SCORED = {"operation": "score", "request": {"order": "1"}}


class Service:
    name = "fraud"

    def __init__(self, acts: list[Mapping[str, Any]]) -> None:
        self._acts = acts

    def acts(self) -> list[Mapping[str, Any]]:
        return self._acts


def kinds(
    acts: list[Mapping[str, Any]],
    expected: Mapping[str, Effects],
    orders: Mapping[str, str] | None = None,
    per_order: Mapping[str, OrderEffects] | None = None,
) -> Iterator[str]:
    world = type("World", (), {"outside_services": [Service(acts)]})
    rows = [OrderRow(order, status, 1000) for order, status in (orders or {}).items()]
    for finding in _outside_services(cast(World, world), rows, expected, per_order or {}):
        yield finding.kind


@pytest.mark.parametrize(
    ("acts", "expected", "found"),
    [
        ([], {}, []),
        ([SCORED], {"fraud": {"score": 1}}, []),
        ([SCORED, {**SCORED, "request": {"order": "2"}}], {"fraud": {"score": 2}}, []),
        ([], {"fraud": {"score": (0, 1)}}, []),
        ([SCORED], {"fraud": {"score": (0, 1)}}, []),
        ([SCORED], {"fraud": {"score": (2, 3)}}, ["unexpected-service-acts"]),
        ([SCORED], {}, ["unexpected-service-acts"]),
        ([], {"fraud": {"score": 1}}, ["unexpected-service-acts"]),
        ([SCORED], {"fraud": {"release": 1}}, ["unexpected-service-acts"]),
        ([SCORED, SCORED], {"fraud": {"score": 2}}, ["service-acted-twice"]),
        (
            [SCORED, SCORED],
            {"fraud": {"score": 1}},
            ["unexpected-service-acts", "service-acted-twice"],
        ),
    ],
)
def test_unexpected_acts_are_a_finding(
    acts: list[Mapping[str, Any]], expected: Mapping[str, Effects], found: list[str]
) -> None:
    assert list(kinds(acts, expected)) == found


WITHDRAWN = {"operation": "withdraw", "request": {"order": "1"}}
OTHER_ORDER = {"operation": "score", "request": {"order": "2"}}
PER_ORDER = {
    "fraud": OrderEffects(
        confirmed={"score": 1},
        cancelled={"score": (0, 1), "withdraw": (0, 1)},
        compensated_by={"score": "withdraw"},
    )
}
UNEXPECTED = ["unexpected-service-acts"]


@pytest.mark.parametrize(
    ("acts", "orders", "found"),
    [
        ([], {}, []),
        ([SCORED], {"1": "confirmed"}, []),
        ([SCORED, OTHER_ORDER], {"1": "confirmed", "2": "confirmed"}, []),
        ([SCORED], {"1": "confirmed", "2": "cancelled"}, []),
        ([SCORED, WITHDRAWN], {"1": "cancelled"}, []),
        ([WITHDRAWN], {"1": "cancelled"}, []),
        ([], {"1": "confirmed"}, UNEXPECTED),
        ([SCORED, WITHDRAWN], {"1": "confirmed"}, UNEXPECTED),
        ([SCORED], {"1": "cancelled"}, UNEXPECTED),
        ([SCORED], {"1": "confirmed", "2": "confirmed"}, UNEXPECTED),
        ([OTHER_ORDER], {"1": "cancelled"}, UNEXPECTED),
        ([SCORED, SCORED], {"1": "confirmed"}, [*UNEXPECTED, "service-acted-twice"]),
    ],
)
def test_a_service_must_act_for_each_order_as_declared(
    acts: list[Mapping[str, Any]], orders: Mapping[str, str], found: list[str]
) -> None:
    assert list(kinds(acts, {}, orders, PER_ORDER)) == found


def test_a_scenario_may_expect_other_effects_than_those_per_order() -> None:
    orders = {"1": "confirmed"}

    assert list(kinds([], {"fraud": {}}, orders, PER_ORDER)) == []
    assert list(kinds([SCORED], {"fraud": {}}, orders, PER_ORDER)) == UNEXPECTED
