"""The example of docs/waits.md: an order waits for a fraud review, at most 24 hours."""

from datetime import timedelta
from typing import Final

import approvals.services
from approvals.services import NewApproval
from approvals.states import ApprovalStatus, DefaultAction
from clock.now import now
from orders.steps import CHECKOUT_QUEUE
from sagas.batch import Batch, WaitBatch
from sagas.definition import wait_step
from sagas.descriptions import RejectionText, StepText, WaitText
from sagas.work import Reject

FRAUD_REVIEW: Final = "fraud_review"
FRAUD_REVIEW_TIME: Final = timedelta(hours=24)


def open_fraud_review(batch: Batch) -> None:
    """Ask staff. Runs once, in the transaction in which the orders begin to wait."""
    approvals.services.open_approvals(
        NewApproval(
            subject_id=run.subject_id,
            correlation_id=run.correlation_id,
            name=FRAUD_REVIEW,
            wait=await_fraud_review.name,
            question="Is this customer who they say they are?",
            deadline=now() + FRAUD_REVIEW_TIME,
            default=DefaultAction.REJECT,
        )
        for run in batch.runs.values()
    )


@wait_step(
    queue=CHECKOUT_QUEUE,
    describe=StepText(staff="fraud review", customer="Checking your order"),
    waits_for=WaitText(
        staff="a fraud review",
        customer="the shop to check your order",
        then="the order is cancelled",
    ),
    deadline=FRAUD_REVIEW_TIME,
    overdue=Reject("fraud_not_reviewed"),
    rejections={
        "fraud_suspected": RejectionText("The shop did not accept this order."),
        "fraud_not_reviewed": RejectionText("The shop did not check this order in time."),
    },
    begin=open_fraud_review,
)
def await_fraud_review(batch: WaitBatch) -> None:
    """Go on with orders that staff have approved, and reject those that they have rejected."""
    decided = approvals.services.decisions(batch.subject_ids, FRAUD_REVIEW)
    for subject_id, approval in decided.items():
        if approval.status == ApprovalStatus.APPROVED:
            batch.proceed(subject_id, {"approval_id": str(approval.pk)})
        else:
            batch.reject(subject_id, "fraud_suspected", approval.comment)
    late = batch.overdue_ids - decided.keys()
    approvals.services.expire(late, FRAUD_REVIEW, comment="no decision in time")


@await_fraud_review.compensation(
    describe=StepText(staff="end of the fraud review", customer="Ending the check"),
)
def end_fraud_review(batch: Batch) -> None:
    """Expire the approvals that are still open, so that no decision comes later."""
    approvals.services.expire(batch.subject_ids, FRAUD_REVIEW, comment="the order is cancelled")
