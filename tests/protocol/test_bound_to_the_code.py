"""The model's assumptions about the code are true."""

import pytest

from orders.saga import CANCELLATION, CHECKOUT
from orders.states import TRANSITIONS
from payments.states import SOURCES
from proof.protocol import tables
from proof.protocol.engine import Engine
from proof.protocol.rules import Protocol, SearchScope
from proof.protocol.state import Faults
from sagas.definition import Local, Remote, Saga, Step, Work
from sagas.models import LIVE, RunStatus


def test_the_moves_of_an_order_are_those_of_the_code() -> None:
    moves = {(source, target) for source, targets in TRANSITIONS.items() for target in targets}

    assert moves == tables.ORDER_MOVES


def test_the_moves_of_a_payment_are_those_of_the_code() -> None:
    moves = {(source, target) for target, sources in SOURCES.items() for source in sources}

    assert moves == tables.PAYMENT_MOVES | tables.BY_HAND_AT_THE_PROVIDER
    assert not tables.PAYMENT_MOVES & tables.BY_HAND_AT_THE_PROVIDER


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
    assert tuple(as_modelled(step) for step in saga.steps) == modelled


def test_a_checkout_can_compensate_at_every_step_and_a_cancellation_at_none() -> None:
    can_compensate = {
        step.name: saga.can_compensate_at(step)
        for saga in (CHECKOUT, CANCELLATION)
        for step in saga.steps
    }

    assert can_compensate == {
        **{step.name: True for step in tables.CHECKOUT},
        **{step.name: False for step in tables.CANCELLATION},
    }


def test_compensations_go_backwards_over_every_step() -> None:
    engine = Engine(Protocol(SearchScope(Faults())))

    compensations = [step.compensation_name for step in CHECKOUT.compensation_link.steps]

    assert compensations == list(engine.steps_by_compensation)[::-1]


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
