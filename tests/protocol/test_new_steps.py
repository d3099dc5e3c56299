"""A step that calls another system needs no edit of the model, wherever it stands in the checkout."""

from dataclasses import replace

import pytest

from orders.saga import CHECKOUT
from orders.steps import PAYMENT_PROVIDER
from proof.protocol.derived_sagas import PRODUCT
from proof.protocol.mutants import MUTANTS
from proof.protocol.rules import Protocol, SearchScope
from proof.protocol.search import Search
from proof.protocol.state import Faults
from proof.protocol.steps import AUTHORIZES, CLOSES, NOTHING
from sagas.batch import Batch, Output
from sagas.definition import Saga, local_step, remote_step
from sagas.definition import Step as DefinedStep
from sagas.descriptions import RejectionText, StepText
from sagas.retry_policy import RetryPolicy
from sagas.work import Attempt, Compensate, Proceed

TEXT = StepText(staff="a step", customer="Checking your order", request_text="Check the order.")
STEPS = [step for step in CHECKOUT.steps if PRODUCT.effects[step.name] != NOTHING]
"""The steps of the product's checkout that move stock or money, or confirm the order."""
KILLED = [name for name, mutant in MUTANTS.items() if mutant.finding and not mutant.has_child]


class Suspected(Exception):
    code = "suspected"


@remote_step(
    queue="checkout",
    system="fraud",
    describe=TEXT,
    rejected_by=(Suspected,),
    rejections={"suspected": RejectionText("We could not accept this order.")},
    retry=RetryPolicy(max_attempts=4),
    when_spent=Proceed({}),
)
def check_fraud(attempt: Attempt) -> Output:
    raise NotImplementedError


@check_fraud.remote_compensation(system="fraud", describe=TEXT)
def withdraw_fraud_check(attempt: Attempt) -> Output:
    raise NotImplementedError


@remote_step(queue="checkout", system=PAYMENT_PROVIDER, describe=TEXT, operations=("transfer",))
def transfer_money(attempt: Attempt) -> Output:
    raise NotImplementedError


@local_step(queue="settlement", describe=StepText(staff="a note", customer="Weighing your items"))
def note_weight(batch: Batch) -> None:
    raise NotImplementedError


@remote_step(
    queue="checkout",
    system=PAYMENT_PROVIDER,
    describe=TEXT,
    operations=("create", "confirm"),
    retry=RetryPolicy(max_attempts=3),
    when_spent=Compensate(RejectionText("No answer.")),
)
def reserve_money(attempt: Attempt) -> Output:
    raise NotImplementedError


@reserve_money.remote_compensation(
    system=PAYMENT_PROVIDER, describe=TEXT, operations=("cancel", "refund")
)
def release_money(attempt: Attempt) -> Output:
    raise NotImplementedError


def test_the_effects_of_calls_are_derived_from_their_operations() -> None:
    sagas = PRODUCT._replace(first=saga(check_fraud, reserve_money, note_weight))

    own = {name for step in sagas.first.steps for name, _ in step.action_and_compensation}
    assert {name: sagas.effects[name] for name in own} == {
        "check_fraud": NOTHING,
        "withdraw_fraud_check": NOTHING,
        "reserve_money": AUTHORIZES,
        "release_money": CLOSES,
        "note_weight": NOTHING,
    }


def test_a_payment_call_that_the_model_does_not_know_is_an_error() -> None:
    with pytest.raises(ValueError, match="transfer_money: the model does not know a payment call"):
        _ = PRODUCT._replace(first=saga(transfer_money)).effects


@pytest.mark.parametrize("position", range(len(STEPS) + 1))
def test_a_checkout_that_asks_another_system_has_no_finding(position: int) -> None:
    faults = Faults(cancels=1, crashes=1, no_answers=1)

    result = Search(protocol_with_fraud_check(SearchScope(faults, patience=1), position)).run()

    assert (result.finding, result.trace) == ("", [])
    assert result.ends == {("confirmed",), ("cancelled",)}


def test_the_search_visits_every_answer_of_another_system() -> None:
    faults = Faults(sleeps=1, no_answers=2)
    search = Search(protocol_with_fraud_check(SearchScope(faults, units=(1,)), position=1))

    search.run()

    moves = {move for _, move in search.came_from}
    assert moves >= {
        "check_fraud: asks, done",
        "check_fraud: asks, rejected",
        "check_fraud: asks, and gets no answer",
        "check_fraud, overtaken: asks, done",
        "check_fraud: settles rejected:check_fraud: cancelling, compensating",
        "check_fraud: settles unknown: placed, running check_fraud",  # the next attempt
        "check_fraud: settles unknown: placed, running authorize_payment",  # it proceeds
        "withdraw_fraud_check: asks, done",
        "withdraw_fraud_check: asks, and gets no answer",
        "withdraw_fraud_check, overtaken: asks, done",
    }
    assert "withdraw_fraud_check: asks, rejected" not in moves


@pytest.mark.parametrize("name", KILLED)
def test_a_mutant_has_its_finding_also_with_another_system(name: str) -> None:
    mutant = MUTANTS[name]
    protocol = protocol_with_fraud_check(mutant.protocol.scope, position=1)

    assert Search(replace(protocol, rules=mutant.rules)).run().finding == mutant.finding


def protocol_with_fraud_check(scope: SearchScope, position: int) -> Protocol:
    """Return the product's protocol, with check_fraud at this position among STEPS."""
    steps = (*STEPS[:position], check_fraud, *STEPS[position:])
    return Protocol(scope, chosen_sagas=PRODUCT._replace(first=saga(*steps)))


def saga(*steps: DefinedStep) -> Saga:
    return Saga("checkout", version=1, steps=steps, compensation_queue="compensation")
