"""The model's assumptions about the code are true."""

from orders.customer_waits import PAYABLE_WAITS
from orders.saga import CANCELLATION, CHECKOUT
from orders.states import TRANSITIONS
from payments.states import SOURCES
from proof.protocol import tables
from proof.protocol.derived_sagas import LOCAL_EFFECTS, PRODUCT
from proof.protocol.moves import PAYABLE
from proof.protocol.steps import (
    AUTHORIZES,
    CAPTURES,
    CLOSES,
    CONFIRMS,
    FINISHES,
    NOTHING,
    RELEASES,
    RESERVES,
)
from sagas.models import LIVE, RunStatus
from sagas.work import Local, Remote


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


def test_the_model_knows_the_steps_that_move_stock_and_money() -> None:
    steps = [step for step in CHECKOUT.steps if PRODUCT.effects[step.name]]

    assert [PRODUCT.effects[step.name] for step in steps] == [
        RESERVES,
        AUTHORIZES,
        CONFIRMS,
        CAPTURES,
    ]
    assert [PRODUCT.effects[step.compensation_name] for step in steps] == [
        RELEASES,
        CLOSES,
        NOTHING,
        CLOSES,
    ]
    assert [PRODUCT.effects[step.name] for step in CANCELLATION.steps] == [
        RELEASES,
        CLOSES,
        FINISHES,
    ]


def test_a_customer_may_pay_otherwise_during_the_same_waits_as_in_the_code() -> None:
    [authorizing] = [step for step in CHECKOUT.steps if PRODUCT.effects[step.name] == AUTHORIZES]

    assert set(PAYABLE_WAITS) == set(PAYABLE)
    assert isinstance(authorizing.action, Remote)
    assert authorizing.action.pending_by_code.keys() >= set(PAYABLE)


def test_a_step_that_does_not_move_stock_or_money_has_a_compensation_that_does_not_either() -> None:
    others = [step for step in CHECKOUT.steps if not PRODUCT.effects[step.name]]

    assert {
        PRODUCT.effects[step.compensation_name] for step in others if step.compensation_name
    } <= {NOTHING}


def test_every_local_effect_is_of_work_that_the_sagas_have() -> None:
    local = {
        name
        for saga in (CHECKOUT, CANCELLATION)
        for step in saga.steps
        for name, work in step.action_and_compensation
        if isinstance(work, Local)
    }

    assert local >= LOCAL_EFFECTS.keys()


def test_a_checkout_can_compensate_at_every_step_and_a_cancellation_at_none() -> None:
    assert all(CHECKOUT.can_compensate_at(step) for step in CHECKOUT.steps)
    assert not any(CANCELLATION.can_compensate_at(step) for step in CANCELLATION.steps)
