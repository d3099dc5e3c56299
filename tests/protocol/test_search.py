"""The protocol holds in every world that is searched, and the search sees what it must."""

from collections.abc import Mapping

import pytest

from proof.protocol.properties import ALLOWED
from proof.protocol.rules import Protocol
from proof.protocol.scopes import QUICK
from proof.protocol.search import Search, Verdict


@pytest.fixture(scope="module")
def verdicts() -> Mapping[str, Verdict]:
    return {name: Search(Protocol(scope)).run() for name, scope in QUICK.items()}


@pytest.mark.parametrize("name", QUICK)
def test_nothing_that_must_not_happen_can_and_a_good_end_is_always_in_reach(
    verdicts: Mapping[str, Verdict], name: str
) -> None:
    verdict = verdicts[name]

    assert (verdict.finding, verdict.trace) == ("", [])
    assert verdict.states > 1000


def test_the_worlds_use_every_change_of_status_that_the_code_allows_and_no_other(
    verdicts: Mapping[str, Verdict],
) -> None:
    taken = {each for verdict in verdicts.values() for each in verdict.taken}

    assert taken == ALLOWED


@pytest.mark.parametrize("name", [name for name, scope in QUICK.items() if scope.orders == 1])
def test_an_order_may_end_either_way(verdicts: Mapping[str, Verdict], name: str) -> None:
    assert verdicts[name].ends == {("confirmed",), ("cancelled",)}


@pytest.mark.parametrize("name", [name for name, scope in QUICK.items() if scope.orders == 2])
def test_the_last_unit_goes_to_one_order_or_to_none(
    verdicts: Mapping[str, Verdict], name: str
) -> None:
    assert verdicts[name].ends == {("cancelled", "confirmed"), ("cancelled", "cancelled")}
