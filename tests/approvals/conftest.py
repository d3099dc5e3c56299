"""A saga that waits for a review, as a user of ``approvals`` declares it."""

from collections.abc import Iterator

import pytest

from approvals.services import NewApproval, decisions, expire, open_approvals
from approvals.states import DefaultAction
from sagas import registry
from sagas.batch import Batch, WaitBatch
from sagas.definition import Saga, wait_step
from sagas.descriptions import RejectionText, StepText, WaitText
from sagas.work import Reject
from tests.support.approval_helpers import A_DAY, QUESTION, REVIEW


def ask(batch: Batch) -> None:
    open_approvals(
        NewApproval(
            *(run.subject_id, run.correlation_id, REVIEW, "await_review", QUESTION),
            deadline=batch.deadlines[run.subject_id],
            default=DefaultAction.REJECT,
        )
        for run in batch.runs.values()
    )


@wait_step(
    queue="checkout",
    describe=StepText("review", "Review"),
    waits_for=WaitText("a review", "a review by the shop", "it is cancelled"),
    deadline=A_DAY,
    overdue=Reject("not_reviewed"),
    rejections={
        "not_reviewed": RejectionText("It was not reviewed in time."),
        "refused": RejectionText("The shop refused it."),
    },
    begin=ask,
)
def await_review(batch: WaitBatch) -> None:
    answers = decisions(batch.subject_ids, REVIEW)
    for subject_id, answer in answers.items():
        if answer.is_approved:
            batch.proceed(subject_id, {"reviewed_by": answer.decided_by})
        else:
            batch.reject(subject_id, "refused", answer.comment)
    expire(batch.overdue_ids - answers.keys(), REVIEW)


@await_review.compensation(describe=StepText("end the review", "End the review"))
def end_review(batch: Batch) -> None:
    expire(batch.subject_ids, REVIEW, comment="The order was cancelled.")


@pytest.fixture
def reviewed(transactional_db: None) -> Iterator[Saga]:
    """A saga with one step: wait for a review."""
    saga = registry.register(
        Saga("reviewed", 1, (await_review,), compensation_queue="compensation")
    )
    yield saga
    registry.unregister(saga)
