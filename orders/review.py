"""The step in which staff review large or odd orders, before their money is taken."""

from collections.abc import Callable, Mapping, Sequence, Set
from functools import cache
from typing import Final
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

import approvals.services
from approvals.services import NewApproval
from approvals.states import DefaultAction
from money.amounts import format_amount
from orders.models import Order, OrderLine
from orders.steps import CHECKOUT_QUEUE
from sagas.batch import Batch, Output, WaitBatch
from sagas.definition import wait_step
from sagas.descriptions import RejectionText, StepText, WaitText
from sagas.work import Escalate

REVIEW: Final = "order_review"
"""The name of the approvals."""

REVIEW_REJECTED: Final = "review_rejected"
NOT_REVIEWED: Final = "not_reviewed"

THEN: Final[Mapping[DefaultAction, str]] = {
    DefaultAction.REJECT: "the order is cancelled",
    DefaultAction.APPROVE: "the order goes on",
    DefaultAction.ESCALATE: "the shop is reminded",
}


def default_action() -> DefaultAction:
    """Return what a review that begins now promises for its deadline. Raises ImproperlyConfigured."""
    try:
        return DefaultAction(settings.REVIEW_DEFAULT)
    except ValueError:
        raise ImproperlyConfigured("REVIEW_DEFAULT must be reject, approve or escalate") from None


def review_input(order: Order, lines: Sequence[OrderLine]) -> Output:
    """Return the input of an order's checkout: why it is reviewed, if it is.

    Decided once, when the order is placed. What the shop's own function raises, this raises.
    """
    reason = ""
    if 0 < settings.REVIEW_ABOVE_MINOR < order.total_minor:
        limit = format_amount(settings.REVIEW_ABOVE_MINOR, order.currency)
        reason = f"The total is above {limit}."
    elif settings.REVIEW_FUNCTION:
        reason = _own_function(settings.REVIEW_FUNCTION)(
            order.pk, order.total_minor, order.currency, {line.sku: line.quantity for line in lines}
        )
    return {"review": reason} if reason else {}


ReviewFunction = Callable[[UUID, int, str, Mapping[str, int]], str]


@cache
def _own_function(path: str) -> ReviewFunction:
    function: ReviewFunction = import_string(path)
    return function


def open_review(batch: Batch) -> None:
    """Open the approvals of orders that staff review, for the time of the setting REVIEW_HOURS.

    Each order keeps what the setting REVIEW_DEFAULT says now, also if it is another at the deadline.
    """
    default = default_action()
    batch.then |= dict.fromkeys(batch.runs, THEN[default])
    approvals.services.open_approvals(
        NewApproval(
            subject_id=run.subject_id,
            correlation_id=run.correlation_id,
            name=REVIEW,
            wait=await_review.name,
            question=f"Approve this order? {run.input['review']}",
            deadline=batch.deadlines[run.subject_id],
            default=default,
        )
        for run in batch.runs.values()
    )


@wait_step(
    queue=CHECKOUT_QUEUE,
    describe=StepText(staff="order review", customer="Reviewing your order"),
    waits_for=WaitText(
        staff="an approval of the order",
        customer="the shop to review your order",
        then=THEN[default_action()],
        late="the shop to review your order. It takes longer than usual, and the shop was reminded",
    ),
    deadline=settings.REVIEW_TIME,
    overdue=Escalate(  # if the approval says so
        settings.REVIEW_TIME, "Decide it, extend the deadline, or cancel the order."
    ),
    rejections={
        REVIEW_REJECTED: RejectionText("The shop did not accept this order."),
        NOT_REVIEWED: RejectionText("The shop did not review this order in time."),
    },
    begin=open_review,
)
def await_review(batch: WaitBatch) -> None:
    """Go on with orders that need no review, and with those that staff have approved."""
    reviewed = [subject for subject, run in batch.runs.items() if "review" in run.input]
    for subject_id in batch.runs.keys() - set(reviewed):
        batch.proceed(subject_id)
    if not reviewed:
        return
    decided = approvals.services.decisions(reviewed, REVIEW)
    for subject_id, approval in decided.items():
        if approval.is_approved:
            batch.proceed(subject_id, {"approval_id": str(approval.pk)})
        else:
            batch.reject(subject_id, REVIEW_REJECTED, approval.comment)
    _end_overdue(batch, batch.overdue_ids - decided.keys())


def _end_overdue(batch: WaitBatch, subject_ids: Set[UUID]) -> None:
    """Do what the approvals of orders past their deadline have promised; some go on waiting."""
    promised = approvals.services.end_overdue(subject_ids, REVIEW, comment="no decision in time")
    for subject_id, default in promised.items():
        match default:
            case DefaultAction.REJECT:
                batch.reject(subject_id, NOT_REVIEWED)
            case DefaultAction.APPROVE:
                batch.proceed(subject_id, {"decided": "no decision in time: approved"})


@await_review.compensation(
    describe=StepText(staff="end of the review", customer="Ending the review"),
)
def withdraw_review(batch: Batch) -> None:
    """Expire the approvals that are still open, so that no decision comes later."""
    reviewed = [subject for subject, run in batch.runs.items() if "review" in run.input]
    if reviewed:
        approvals.services.expire(reviewed, REVIEW, comment="the order is cancelled")
