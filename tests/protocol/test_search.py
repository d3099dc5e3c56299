"""The protocol has no finding in any searched world, and the search covers what it must."""

from collections.abc import Mapping

import pytest

from proof.protocol.properties import ALLOWED
from proof.protocol.rules import Protocol
from proof.protocol.scopes import QUICK
from proof.protocol.search import Search, SearchResult


@pytest.fixture(scope="module")
def results() -> Mapping[str, SearchResult]:
    return {name: Search(Protocol(scope)).run() for name, scope in QUICK.items()}


@pytest.mark.parametrize("name", QUICK)
def test_no_forbidden_state_is_reached_and_a_good_end_always_can_be(
    results: Mapping[str, SearchResult], name: str
) -> None:
    result = results[name]

    assert (result.finding, result.trace) == ("", [])
    assert result.states > 1000


def test_the_worlds_use_exactly_the_changes_of_status_that_the_code_allows(
    results: Mapping[str, SearchResult],
) -> None:
    taken = {move for result in results.values() for move in result.taken}

    assert taken == ALLOWED


@pytest.mark.parametrize(
    "name", [name for name, scope in QUICK.items() if scope.orders == 1 and not scope.has_child]
)
def test_an_order_may_end_either_way(results: Mapping[str, SearchResult], name: str) -> None:
    assert results[name].ends == {("confirmed",), ("cancelled",)}


@pytest.mark.parametrize("name", [name for name, scope in QUICK.items() if scope.orders == 2])
def test_the_last_unit_goes_to_one_order_or_to_none(
    results: Mapping[str, SearchResult], name: str
) -> None:
    assert results[name].ends == {("cancelled", "confirmed"), ("cancelled", "cancelled")}
