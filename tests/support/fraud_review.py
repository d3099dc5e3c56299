"""The step in which staff check an order for fraud, before it has a payment."""

from datetime import timedelta
from typing import Final

from django.conf import settings

import approvals.services
from approvals.services import NewApproval
from approvals.states import DefaultAction
from orders.steps import CHECKOUT_QUEUE
from sagas.batch import Batch, WaitBatch
from sagas.definition import wait_step
from sagas.descriptions import RejectionText, StepText, WaitText
from sagas.work import Reject

FRAUD_REVIEW: Final = "fraud_review"
"""The name of the approvals."""


def open_fraud_review(batch: Batch) -> None:
    """Ask staff. Runs once, in the transaction in which the orders begin to wait."""
    approvals.services.open_approvals(
        NewApproval(
            subject_id=run.subject_id,
            correlation_id=run.correlation_id,
            name=FRAUD_REVIEW,
            wait=await_fraud_review.name,
            question="Is this customer who they say they are?",
            deadline=batch.deadlines[run.subject_id],
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
    deadline=timedelta(hours=24),
    overdue=Reject("fraud_not_reviewed"),
    rejections={
        "fraud_suspected": RejectionText("The shop did not accept this order."),
        "fraud_not_reviewed": RejectionText("The shop did not check this order in time."),
    },
    begin=open_fraud_review,
)
def await_fraud_review(batch: WaitBatch) -> None:
    """Go on with orders that staff have approved, and reject those that they have rejected.

    With the setting off, orders that arrive go on at once. Those that wait already are still decided.
    """
    reviewed = set(batch.runs)
    if not settings.FRAUD_REVIEW:
        for subject_id in batch.arrived_ids:
            batch.proceed(subject_id)
        reviewed -= batch.arrived_ids
    decided = approvals.services.decisions(reviewed, FRAUD_REVIEW)
    for subject_id, approval in decided.items():
        if approval.is_late:
            batch.reject(subject_id, "fraud_not_reviewed")
        elif approval.is_approved:
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
