"""Every rule of the protocol is necessary: without it the search has a finding."""

from dataclasses import replace

import pytest

from proof.protocol.mutants import MUTANTS
from proof.protocol.rules import Protocol, SearchScope
from proof.protocol.search import Search

KILLED = [name for name, mutant in MUTANTS.items() if mutant.finding]
EQUIVALENT = [name for name, mutant in MUTANTS.items() if not mutant.finding]


@pytest.mark.parametrize("name", KILLED)
def test_a_mutant_has_its_declared_finding(name: str) -> None:
    result = Search(MUTANTS[name].protocol).run()

    assert result.finding == MUTANTS[name].finding
    assert result.trace


@pytest.mark.parametrize("name", KILLED)
def test_the_whole_protocol_has_no_finding_in_the_world_of_the_mutant(name: str) -> None:
    scope = MUTANTS[name].protocol.scope

    assert Search(Protocol(scope)).run().finding == ""


@pytest.mark.parametrize("name", EQUIVALENT)
def test_an_equivalent_mutant_has_no_finding_and_says_why(name: str) -> None:
    assert Search(MUTANTS[name].protocol).run().finding == ""
    assert MUTANTS[name].without.startswith("Equivalent: ")


def test_few_mutants_are_equivalent() -> None:
    assert len(KILLED) >= 12
    assert len(EQUIVALENT) <= 2


def test_every_rule_is_removed_by_a_mutant() -> None:
    whole = Protocol(MUTANTS["no_sweep"].protocol.scope).rules
    rules = set(whole.__dataclass_fields__)
    removed = {
        rule
        for mutant in MUTANTS.values()
        for rule in rules
        if getattr(mutant.rules, rule) != getattr(whole, rule)
    }

    assert removed == rules


def test_the_shortest_trace_has_the_moves_in_order() -> None:
    protocol = MUTANTS["fresh_key_and_charged_at_once"].protocol
    effects = protocol.sagas.effects
    steps = tuple(step for step in protocol.sagas.first.steps if effects[step.name])
    sagas = protocol.sagas._replace(first=replace(protocol.sagas.first, steps=steps))

    trace = Search(replace(protocol, chosen_sagas=sagas)).run().trace

    assert trace == [
        "a worker takes a message: placed, claims authorize_payment",
        "authorize_payment: begin",
        "authorize_payment: charge, and gets no answer",
        "a charge arrives late at the provider, held",
        "authorize_payment: settles unknown: placed, running authorize_payment",
        "a worker takes a message: placed, claims authorize_payment",
        "authorize_payment: begin",
        "authorize_payment: charge, held",
    ]


def test_a_payment_that_is_replaced_during_a_call_counts_for_that_call() -> None:
    trace = Search(MUTANTS["replaces_during_a_call"].protocol).run().trace

    assert trace[-4:] == [
        "authorize_payment: begin",
        "the customer pays otherwise",
        "authorize_payment: retrieve",
        "authorize_payment: settles done:held: confirmed, running capture_payment",
    ]


def test_a_state_without_a_way_to_a_good_end_is_found() -> None:
    result = Search(MUTANTS["no_sweep"].protocol).run()

    assert result.trace == ["Redis is flushed"]


def test_a_world_without_faults_has_no_finding() -> None:
    result = Search(Protocol(SearchScope(MUTANTS["counts_without_lock"].faults))).run()

    assert result.finding == ""
    assert result.ends == {("confirmed",), ("cancelled",)}
