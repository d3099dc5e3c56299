"""Query parameters, bodies and responses of the approval endpoints."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import Field

from approvals import models
from approvals.states import ApprovalStatus, DecidedVia, DefaultAction
from orders.api.http.query_params import CommaSeparated, Cursor, InDigits, PageSize, QueryParams
from orders.api.http.request_schemas import RequestSchema
from orders.api.http.response_schemas import ResponseSchema
from orders.api.http.text_format import TextFormat

MAX_WAIT_SECONDS: Final = 30

Comment = Annotated[
    str,
    Field(max_length=models.COMMENT_LENGTH),
    TextFormat(r"^[^\x00]*$", f"a text of at most {models.COMMENT_LENGTH:,} characters"),
]


class DecisionBody(RequestSchema):
    """Why it was decided so. Staff see it; the customer does not."""

    comment: Comment | None = None


class ApprovalQuery(QueryParams):
    wait: Annotated[
        int,
        Field(ge=0, le=MAX_WAIT_SECONDS),
        InDigits,
        Field(
            description="Delays the response until the approval is decided, for at most so many"
            " seconds. It is not delayed while too many requests wait."
        ),
    ] = 0


class ApprovalListQuery(QueryParams):
    status: Annotated[
        frozenset[ApprovalStatus],
        Field(min_length=1),
        CommaSeparated,
        Field(
            description="Approvals with one of these: several with commas, or as repeated parameters."
        ),
    ] = frozenset()
    order_id: Annotated[UUID | None, Field(description="Approvals of this order.")] = None
    page_size: Annotated[PageSize, Field(description="Approvals per page.")] = 20
    cursor: Annotated[Cursor | None, Field(description="Where the page begins: from `next`.")] = (
        None
    )


def _only_for_the_shop(description: str) -> Any:
    """Describe a field that is left out of the responses to customers."""
    return Field(
        None,
        description=f"{description} Left out unless the token has the scope `shop`.",
        exclude_if=lambda value: value is None,
    )


class Approval(ResponseSchema):
    """A decision that an order waits for. Its status changes once, and is final then."""

    id: str
    order_id: str
    name: Annotated[str, Field(description="The kind of decision, such as `order_review`.")]
    status: ApprovalStatus
    deadline: datetime
    default: Annotated[
        DefaultAction, Field(description="What happens at the deadline without a decision.")
    ]
    created_at: datetime
    decided_at: Annotated[datetime | None, Field(description="Null while it is open.")]
    decided_via: Annotated[DecidedVia | None, Field(description="Null while it is open.")]
    question: str | None = _only_for_the_shop("For the person who decides.")
    decided_by: str | None = _only_for_the_shop("Empty while it is open, and if it has expired.")
    comment: str | None = _only_for_the_shop("Of the person or program that decided.")

    @classmethod
    def of(cls, approval: models.Approval, *, for_shop: bool) -> Self:
        return cls(**_content(approval, for_shop=for_shop))


class DecidedApproval(Approval):
    """An approval after a request to decide it."""

    decided_now: Annotated[
        bool, Field(description="Whether this request decided it; false if it was decided before.")
    ]

    @classmethod
    def of_decision(cls, approval: models.Approval, *, decided_now: bool) -> Self:
        return cls(**_content(approval, for_shop=True), decided_now=decided_now)


class ApprovalPage(ResponseSchema):
    """One page of approvals, newest first, and the address of the next page."""

    results: Sequence[Approval]
    next: Annotated[str | None, Field(description="The page of older approvals.")]


def _content(approval: models.Approval, *, for_shop: bool) -> dict[str, Any]:
    content: dict[str, Any] = {
        "id": str(approval.pk),
        "order_id": str(approval.subject_id),
        "name": approval.name,
        "status": ApprovalStatus(approval.status),
        "deadline": approval.deadline,
        "default": DefaultAction(approval.default),
        "created_at": approval.created_at,
        "decided_at": approval.decided_at,
        "decided_via": DecidedVia(approval.decided_via) if approval.decided_via else None,
    }
    if for_shop:
        content["question"] = approval.question
        content["decided_by"] = approval.decided_by
        content["comment"] = approval.comment
    return content


_OPEN: Final = Approval(
    id="019aa3c0-7f10-7d42-8c55-2b9e4f6a1d20",
    order_id="019aa3c0-5d2e-7c4a-9a53-7f0c7a1e6b11",
    name="order_review",
    status=ApprovalStatus.OPEN,
    deadline=datetime(2026, 11, 22, 9, 30, tzinfo=UTC),
    default=DefaultAction.REJECT,
    created_at=datetime(2026, 11, 21, 9, 30, tzinfo=UTC),
    decided_at=None,
    decided_via=None,
)
_FOR_SHOP: Final = {"question": "Ship 40 mugs to a new customer?", "decided_by": "", "comment": ""}
_DECISION: Final = {
    "status": ApprovalStatus.APPROVED,
    "decided_at": datetime(2026, 11, 21, 10, 5, tzinfo=UTC),
    "decided_via": DecidedVia.API,
    "decided_by": "web-shop",
    "comment": "A known reseller.",
}

EXAMPLE_FOR_CUSTOMER: Final = _OPEN.as_json()
EXAMPLE_OPEN: Final = _OPEN.model_copy(update=_FOR_SHOP).as_json()
EXAMPLE_APPROVED: Final = _OPEN.model_copy(update={**_FOR_SHOP, **_DECISION}).as_json()
EXAMPLE_REJECTED: Final = {**EXAMPLE_APPROVED, "status": "rejected", "comment": "Unknown address."}
EXAMPLE_PAGE: Final = {"results": [EXAMPLE_OPEN], "next": None}
