"""What the model takes for granted is what the code has."""

import pytest

from orders.saga import CANCELLATION, CHECKOUT
from orders.states import TRANSITIONS
from payments.states import SOURCES
from proof.protocol import tables
from proof.protocol.engine import Engine
from proof.protocol.rules import Protocol, Scope
from proof.protocol.state import Faults
from sagas.definition import Local, Remote, Saga, Step, Work
from sagas.models import LIVE, RunStatus


def test_the_moves_of_an_order_are_those_of_the_code() -> None:
    moves = {(source, target) for source, targets in TRANSITIONS.items() for target in targets}

    assert moves == tables.ORDER_MOVES


def test_the_moves_of_a_payment_are_those_of_the_code() -> None:
    moves = {(source, target) for target, sources in SOURCES.items() for source in sources}

    assert moves == tables.PAYMENT_MOVES | tables.BY_HAND_AT_THE_BANK
    assert not tables.PAYMENT_MOVES & tables.BY_HAND_AT_THE_BANK


def test_the_statuses_of_a_run_are_those_of_the_code() -> None:
    sources = {source for source, _ in tables.RUN_MOVES}
    targets = {target for _, target in tables.RUN_MOVES}

    assert sources | targets == set(RunStatus.values)
    assert sources == set(LIVE)


@pytest.mark.parametrize(
    ("saga", "modelled"),
    [(CHECKOUT, tables.CHECKOUT), (CANCELLATION, tables.CANCELLATION)],
    ids=["checkout", "cancellation"],
)
def test_the_steps_of_a_saga_are_those_of_the_code(
    saga: Saga, modelled: tuple[tables.Step, ...]
) -> None:
    assert tuple(as_modelled(each) for each in saga.steps) == modelled


def test_an_order_can_turn_back_anywhere_in_checkout_and_nowhere_in_a_cancellation() -> None:
    can_compensate = {
        each.name: saga.can_compensate_at(each)
        for saga in (CHECKOUT, CANCELLATION)
        for each in saga.steps
    }

    assert can_compensate == {
        **{each.name: True for each in tables.CHECKOUT},
        **{each.name: False for each in tables.CANCELLATION},
    }


def test_undoing_goes_backwards_and_over_every_step() -> None:
    engine = Engine(Protocol(Scope(Faults())))

    undos = [each.compensation_name for each in CHECKOUT.compensation_link.steps]

    assert undos == list(engine.undos)[::-1]


def as_modelled(step: Step) -> tables.Step:
    action = step.action
    return tables.Step(
        step.name,
        is_remote=is_remote(action),
        queue=step.queue,
        compensation=step.compensation_name,
        compensation_is_remote=step.compensating_action is not None
        and is_remote(step.compensating_action),
        is_patient=isinstance(action, Local) or action.retry.max_attempts is None,
        may_be_rejected=isinstance(action, Remote) and bool(action.rejected_by),
    )


def is_remote(work: Work) -> bool:
    return isinstance(work, Remote)
