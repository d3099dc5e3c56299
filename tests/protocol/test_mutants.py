"""Each rule of the protocol is needed: without it the search finds what the rule prevents."""

import pytest

from proof.protocol.mutants import MUTANTS
from proof.protocol.rules import Protocol, Scope
from proof.protocol.search import Search

KILLED = [name for name, each in MUTANTS.items() if each.finding]
EQUIVALENT = [name for name, each in MUTANTS.items() if not each.finding]


@pytest.mark.parametrize("name", KILLED)
def test_a_mutant_leads_to_what_it_says(name: str) -> None:
    verdict = Search(MUTANTS[name].protocol).run()

    assert verdict.finding == MUTANTS[name].finding
    assert verdict.trace


@pytest.mark.parametrize("name", KILLED)
def test_the_whole_protocol_survives_where_the_mutant_does_not(name: str) -> None:
    scope = MUTANTS[name].protocol.scope

    assert Search(Protocol(scope)).run().finding == ""


@pytest.mark.parametrize("name", EQUIVALENT)
def test_an_equivalent_mutant_survives_and_says_why(name: str) -> None:
    assert Search(MUTANTS[name].protocol).run().finding == ""
    assert MUTANTS[name].without.startswith("Equivalent: ")


def test_few_mutants_are_equivalent() -> None:
    assert len(KILLED) >= 12
    assert len(EQUIVALENT) <= 2


def test_every_rule_is_taken_away_by_a_mutant() -> None:
    whole = Protocol(MUTANTS["no_sweep"].protocol.scope).rules
    rules = set(whole.__dataclass_fields__)
    taken_away = {
        rule
        for mutant in MUTANTS.values()
        for rule in rules
        if getattr(mutant.rules, rule) != getattr(whole, rule)
    }

    assert taken_away == rules


def test_a_shortest_trace_tells_the_story_in_order() -> None:
    trace = Search(MUTANTS["fresh_key_and_charged_at_once"].protocol).run().trace

    assert trace == [
        "a worker takes a message: placed, claims authorize_payment",
        "authorize_payment: begin",
        "authorize_payment: charge, and gets no answer",
        "a charge arrives late at the bank, held",
        "authorize_payment: settles unknown: placed, running authorize_payment",
        "a worker takes a message: placed, claims authorize_payment",
        "authorize_payment: begin",
        "authorize_payment: charge, held",
    ]


def test_a_state_from_which_nothing_leads_on_is_found() -> None:
    verdict = Search(MUTANTS["no_sweep"].protocol).run()

    assert verdict.trace == ["Redis is flushed"]


def test_scopes_without_faults_are_small_and_sound() -> None:
    verdict = Search(Protocol(Scope(MUTANTS["counts_without_lock"].faults))).run()

    assert verdict.finding == ""
    assert verdict.ends == {("confirmed",), ("cancelled",)}
