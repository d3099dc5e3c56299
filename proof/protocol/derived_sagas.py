"""The steps of the model, derived from the definitions of the sagas.

A new step needs no edit here, except one that moves stock or money. Only this module of the model
imports the application.
"""

from typing import Final

from orders.saga import CANCELLATION, CHECKOUT
from orders.steps import PAYMENT_PROVIDER
from proof.protocol.steps import (
    AUTHORIZES,
    CAPTURES,
    CLOSES,
    CONFIRMS,
    FINISHES,
    NOTHING,
    RELEASES,
    RESERVES,
    Sagas,
    Step,
)
from sagas.definition import Proceed, Remote, Saga, Work
from sagas.definition import Step as DefinedStep

LOCAL_EFFECTS: Final = {
    "reserve_stock": RESERVES,
    "release_stock": RELEASES,
    "release_reserved_stock": RELEASES,
    "confirm_order": CONFIRMS,
    "finish_cancelling": FINISHES,
}
"""What local work does, by its name. Local work that is not listed has no effect in the model."""

PAYMENT_EFFECTS: Final = {
    ("create", "confirm"): AUTHORIZES,
    ("capture",): CAPTURES,
    ("cancel", "refund"): CLOSES,
}
"""What a call to the payment provider does, by the operations that it declares."""


def derive(saga: Saga) -> tuple[Step, ...]:
    """Return the steps of ``saga`` as the model sees them.

    Raises ValueError for a call to the payment provider that the model does not know.
    """
    return tuple(_derive_step(step) for step in saga.steps)


def _derive_step(step: DefinedStep) -> Step:
    action, compensation = step.action, step.compensating_action
    return Step(
        step.name,
        _effect(step.name, action),
        is_remote=isinstance(action, Remote),
        queue=step.queue,
        compensation=step.compensation_name,
        compensation_effect=_effect(step.compensation_name, compensation),
        compensation_is_remote=isinstance(compensation, Remote),
        is_patient=not isinstance(action, Remote) or action.retry.max_attempts is None,
        proceeds=isinstance(action, Remote) and isinstance(action.when_spent, Proceed),
        may_be_rejected=isinstance(action, Remote) and bool(action.rejected_by),
    )


def _effect(name: str, work: Work | None) -> str:
    if not isinstance(work, Remote):
        return LOCAL_EFFECTS.get(name, NOTHING)
    if work.system != PAYMENT_PROVIDER:
        return NOTHING
    if work.operations not in PAYMENT_EFFECTS:
        raise ValueError(f"{name}: the model does not know a payment call of {work.operations}")
    return PAYMENT_EFFECTS[work.operations]


PRODUCT: Final = Sagas(derive(CHECKOUT), derive(CANCELLATION))
