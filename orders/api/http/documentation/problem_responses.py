"""The problems that an operation may return, in the OpenAPI document."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from pydantic import BaseModel, ConfigDict, Field

from orders.api.http.documentation.operation import Operation
from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import CONTENT_TYPE, MAX_ERRORS

_ALWAYS: Final = (
    ProblemType.NOT_ACCEPTABLE,
    ProblemType.TOO_MANY_REQUESTS,
    ProblemType.INTERNAL_ERROR,
    ProblemType.TEMPORARILY_UNAVAILABLE,
)
_WITH_BODY: Final = (
    ProblemType.MALFORMED_REQUEST,
    ProblemType.REQUEST_TIMEOUT,
    ProblemType.BODY_TOO_LARGE,
    ProblemType.UNSUPPORTED_MEDIA_TYPE,
    ProblemType.INVALID_REQUEST,
)
_WITH_IDEMPOTENCY_KEY: Final = (
    ProblemType.IDEMPOTENCY_KEY_MISSING,
    ProblemType.IDEMPOTENCY_KEY_INVALID,
    ProblemType.IDEMPOTENCY_KEY_IN_FLIGHT,
    ProblemType.IDEMPOTENCY_KEY_REUSED,
)


class FieldError(BaseModel):
    """One wrong part of a request: its location and what is wrong with it."""

    detail: str
    pointer: str = Field("", description="A place in the body (RFC 6901).")
    parameter: str = Field("", description="The name of a query parameter.")
    header: str = Field("", description="The name of a header.")


class Problem(BaseModel):
    """An error (RFC 9457). The request has changed nothing, unless the type says otherwise."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(
        description="Stable, for programs; the path of a page that says what to do.",
        json_schema_extra={"format": "uri-reference"},
    )
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    errors: list[FieldError] = Field([], max_length=MAX_ERRORS)
    correlation_id: str = Field("", description="Identifies this request in the shop's logs.")


def problems_of(operation: Operation, path: str, *, needs_scope: bool) -> Iterator[ProblemType]:
    """Return the problems of an operation: the derived ones, then its own."""
    yield from _ALWAYS
    yield ProblemType.LINK_EXPIRED if is_guest_path(path) else ProblemType.NOT_AUTHENTICATED
    if needs_scope:
        yield ProblemType.SCOPE_MISSING
    if "{" in path:
        yield ProblemType.NOT_FOUND
    if operation.body is not None:
        yield from _WITH_BODY
    if operation.is_idempotent:
        yield from _WITH_IDEMPOTENCY_KEY
    if operation.query is not None:
        yield ProblemType.INVALID_QUERY
    if operation.is_conditional:
        yield ProblemType.PRECONDITION_FAILED
    yield from operation.problems


def is_guest_path(path: str) -> bool:
    """Return whether a guest link in the path replaces the token."""
    return "{token}" in path


def problem_responses(
    problem_types: Iterable[ProblemType],
) -> dict[tuple[str, str], OpenApiResponse]:
    """Describe one response for each status, with the types that it may have."""
    by_status: dict[int, list[ProblemType]] = defaultdict(list)
    for problem_type in problem_types:
        by_status[problem_type.status.value].append(problem_type)
    return {
        (str(status), CONTENT_TYPE): _response(by_status[status]) for status in sorted(by_status)
    }


def _response(problem_types: list[ProblemType]) -> OpenApiResponse:
    return OpenApiResponse(
        {
            "$ref": "#/components/schemas/Problem",
            "properties": {"type": {"enum": [known.uri for known in problem_types]}},
        },
        "; ".join(known.title for known in problem_types) + ".",
        [
            OpenApiExample(
                known.title,
                {
                    "type": known.uri,
                    "title": known.title,
                    "status": known.status.value,
                    "detail": known.meaning,
                },
                description=f"{known.meaning} {known.remedy}",
            )
            for known in problem_types
        ],
    )
