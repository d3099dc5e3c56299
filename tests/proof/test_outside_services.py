"""The proof compares the acts of each outside service with what the scenario expects."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest

from proof.oracle import _outside_services
from proof.world import World

SCORED = {"operation": "score", "request": {"order": "1"}}


class Service:
    name = "fraud"

    def __init__(self, acts: list[Mapping[str, Any]]) -> None:
        self._acts = acts

    def acts(self) -> list[Mapping[str, Any]]:
        return self._acts


def kinds(
    acts: list[Mapping[str, Any]], expected: Mapping[str, Mapping[str, int]]
) -> Iterator[str]:
    world = type("World", (), {"outside_services": [Service(acts)]})
    for finding in _outside_services(cast(World, world), expected):
        yield finding.kind


@pytest.mark.parametrize(
    ("acts", "expected", "found"),
    [
        ([], {}, []),
        ([SCORED], {"fraud": {"score": 1}}, []),
        ([SCORED, {**SCORED, "request": {"order": "2"}}], {"fraud": {"score": 2}}, []),
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
    acts: list[Mapping[str, Any]], expected: Mapping[str, Mapping[str, int]], found: list[str]
) -> None:
    assert list(kinds(acts, expected)) == found
