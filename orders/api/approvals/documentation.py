"""The approval endpoints in the OpenAPI document."""

from http import HTTPStatus
from typing import Any, Final

from approvals.states import Decision
from orders.api.approvals.schemas import (
    EXAMPLE_APPROVED,
    EXAMPLE_FOR_CUSTOMER,
    EXAMPLE_OPEN,
    EXAMPLE_PAGE,
    EXAMPLE_REJECTED,
    Approval,
    ApprovalListQuery,
    ApprovalPage,
    ApprovalQuery,
    DecidedApproval,
    DecisionBody,
)
from orders.api.http.documentation.headers import LINK
from orders.api.http.documentation.operation import Operation, SuccessResponse
from orders.api.http.problem_types import ProblemType

TAG: Final = "Approvals"

LIST_APPROVALS: Final = Operation(
    "list_approvals",
    TAG,
    "List approvals",
    "Newest first, for the shop's server: the token needs the scope `shop`. `status=open` lists the "
    "decisions that orders wait for. `next` is the next page; there is no count.",
    (
        SuccessResponse(
            HTTPStatus.OK,
            "One page of approvals.",
            ApprovalPage,
            {"One open approval on the only page": EXAMPLE_PAGE},
            headers=(LINK,),
        ),
    ),
    query=ApprovalListQuery,
    is_conditional=True,
)

READ_APPROVAL: Final = Operation(
    "read_approval",
    TAG,
    "Read an approval, or wait for its decision",
    "With `wait=30` the response comes as soon as the approval is decided or has expired, and after "
    "30 seconds at the latest. Customers read the approvals of their own orders, without the "
    "question, the comment and the name of the person or program that decided. The approval of "
    "another customer's order gets the same 404 as an unknown one.",
    (
        SuccessResponse(
            HTTPStatus.OK,
            "The approval as it is now.",
            Approval,
            {
                "For the shop: open": EXAMPLE_OPEN,
                "For the shop: approved": EXAMPLE_APPROVED,
                "For the customer": EXAMPLE_FOR_CUSTOMER,
            },
        ),
    ),
    query=ApprovalQuery,
    is_conditional=True,
)


def _decision(decision: Decision, effect: str, example: dict[str, Any]) -> Operation:
    return Operation(
        f"{decision}_approval",
        TAG,
        f"{decision.label} an approval",
        f"The first decision is final: {effect} The token needs the scope `shop`. If it was "
        "decided so before, the response is 200 with the first decision and `decided_now` false. "
        "If it was decided otherwise, or has expired, the response is 409 with the first decision.",
        (
            SuccessResponse(
                HTTPStatus.OK,
                "The approval, and whether this request decided it.",
                DecidedApproval,
                {
                    "Decided": {**example, "decided_now": True},
                    "Decided before": {**example, "decided_now": False},
                },
            ),
        ),
        body=DecisionBody,
        body_examples={"With a comment": {"comment": example["comment"]}, "No fields": {}},
        problems=(ProblemType.APPROVAL_ALREADY_DECIDED,),
        is_idempotent=True,
    )


APPROVE: Final = _decision(Decision.APPROVE, "the order goes on.", EXAMPLE_APPROVED)
REJECT: Final = _decision(Decision.REJECT, "the order is cancelled.", EXAMPLE_REJECTED)
