"""Sagas of the model's own: an order that starts a child, waits for it, and calls it back.

They show the engine's waits without stock and money. The child waits for an answer from outside.
"""

from datetime import timedelta
from typing import Final

from proof.protocol.steps import RECALLS, STARTS, WHEN_CHILDREN_HAVE_ENDED, Sagas
from sagas.batch import Batch, Output, WaitBatch
from sagas.definition import Saga, local_step, remote_step, wait_step
from sagas.descriptions import RejectionText, StepText, WaitText
from sagas.errors import ChildrenRunning
from sagas.work import Attempt, Escalate, PendingCall, Reject

DAY: Final = timedelta(days=1)
QUEUE: Final = "checkout"
TEXT: Final = StepText("a step", "A step")
CALL: Final = StepText("a step", "A step", "Do it.")
WAIT: Final = WaitText("an answer", "an answer", "it is cancelled")


@local_step(queue=QUEUE, describe=TEXT)
def start_child(batch: Batch) -> None:
    """Start a run for the order's child."""


@start_child.remote_compensation(
    system="sagas", describe=CALL, pending=(PendingCall(ChildrenRunning, WAIT, DAY, Escalate(DAY)),)
)
def call_child_back(attempt: Attempt) -> Output:
    """Request that the child compensates, and wait until it has ended."""
    raise NotImplementedError


@wait_step(queue=QUEUE, describe=TEXT, waits_for=WAIT, deadline=DAY, overdue=Escalate(DAY))
def await_child(batch: WaitBatch) -> None:
    """Wait until the child has ended."""


@local_step(queue=QUEUE, describe=TEXT)
def prepare(batch: Batch) -> None:
    """Prepare the child."""


@prepare.compensation(describe=TEXT)
def put_away(batch: Batch) -> None:
    """Compensate ``prepare``."""


@wait_step(
    queue=QUEUE,
    describe=TEXT,
    waits_for=WAIT,
    deadline=DAY,
    overdue=Reject("no_answer"),
    rejections={"no_answer": RejectionText("No answer."), "await_answer": RejectionText("No.")},
)
def await_answer(batch: WaitBatch) -> None:
    """Wait for an answer from outside."""


@remote_step(queue=QUEUE, system="sagas", describe=CALL)
def end_cancelling(attempt: Attempt) -> Output:
    """Cancel an order whose run has ended."""
    raise NotImplementedError


def build() -> Sagas:
    """Return the sagas of an order and its child."""
    parent = Saga("parent", 1, (start_child, await_child), compensation_queue="compensation")
    child = Saga("child", 1, (prepare, await_answer), compensation_queue="compensation")
    cancellation = Saga(
        "cancel", 1, (end_cancelling,), compensation_queue="compensation", compensating_only=True
    )
    effects = {
        "start_child": STARTS,
        "call_child_back": RECALLS,
        "await_child": WHEN_CHILDREN_HAVE_ENDED,
    }
    return Sagas(parent, cancellation, effects, payment_system="", child=child)


FAMILY: Final = build()
