"""Which problems an operation may answer, and how the document tells them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from pydantic import BaseModel, ConfigDict, Field

from orders.api.http.documentation.headers import IDEMPOTENCY_KEY
from orders.api.http.documentation.operation import Operation
from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import CONTENT_TYPE

OF_EVERYBODY: Final = (
    ProblemType.NOT_ACCEPTABLE,
    ProblemType.TOO_MANY_REQUESTS,
    ProblemType.INTERNAL_ERROR,
    ProblemType.TEMPORARILY_UNAVAILABLE,
)
OF_A_TOKEN: Final = (ProblemType.NOT_AUTHENTICATED,)
OF_A_LINK: Final = (ProblemType.LINK_EXPIRED,)
OF_A_SCOPE: Final = (ProblemType.SCOPE_MISSING,)
OF_A_PLACE: Final = (ProblemType.NOT_FOUND,)
OF_A_BODY: Final = (
    ProblemType.MALFORMED_REQUEST,
    ProblemType.REQUEST_TIMEOUT,
    ProblemType.BODY_TOO_LARGE,
    ProblemType.UNSUPPORTED_MEDIA_TYPE,
    ProblemType.INVALID_REQUEST,
)
OF_A_KEY: Final = (
    ProblemType.IDEMPOTENCY_KEY_MISSING,
    ProblemType.IDEMPOTENCY_KEY_INVALID,
    ProblemType.IDEMPOTENCY_KEY_IN_FLIGHT,
    ProblemType.IDEMPOTENCY_KEY_REUSED,
)


class WrongPart(BaseModel):
    """One thing that is wrong with a request: where, and what."""

    detail: str
    pointer: str = Field("", description="A place in the body (RFC 6901).")
    parameter: str = Field("", description="The name of a query parameter.")
    header: str = Field("", description="The name of a header.")


class Problem(BaseModel):
    """Why a request was refused (RFC 9457). It has changed nothing, unless its type says so."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(
        description="Stable, for programs; leads to a page that says what to do.",
        json_schema_extra={"format": "uri-reference"},
    )
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    errors: list[WrongPart] = Field([], max_length=50)
    correlation_id: str = Field("", description="Names this request in our logs.")


def problems_of(operation: Operation, path: str) -> Iterator[ProblemType]:
    """Name those that come with what an operation asks for, and the operation's own."""
    yield from OF_EVERYBODY
    yield from OF_A_LINK if is_by_link(path) else OF_A_TOKEN
    if operation.needs_scope:
        yield from OF_A_SCOPE
    if "{" in path:
        yield from OF_A_PLACE
    if operation.body is not None:
        yield from OF_A_BODY
    if IDEMPOTENCY_KEY in operation.parameters:
        yield from OF_A_KEY
    yield from operation.problems


def is_by_link(path: str) -> bool:
    """Whether a guest's link in the path is what counts, and no token."""
    return "{token}" in path


def problem_answers(
    problems: Iterable[ProblemType],
) -> dict[tuple[str, str], OpenApiResponse]:
    """Describe an answer for each status, with the types that it may have."""
    by_status: dict[int, list[ProblemType]] = defaultdict(list)
    for each in problems:
        by_status[each.status.value].append(each)
    return {(str(status), CONTENT_TYPE): _answer(by_status[status]) for status in sorted(by_status)}


def _answer(kinds: list[ProblemType]) -> OpenApiResponse:
    return OpenApiResponse(
        {
            "$ref": "#/components/schemas/Problem",
            "properties": {"type": {"enum": [each.uri for each in kinds]}},
        },
        "; ".join(each.title for each in kinds) + ".",
        [
            OpenApiExample(
                each.title,
                {
                    "type": each.uri,
                    "title": each.title,
                    "status": each.status.value,
                    "detail": each.meaning,
                },
                description=f"{each.meaning} {each.remedy}",
            )
            for each in kinds
        ],
    )
