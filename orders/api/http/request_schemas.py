"""Base of all request bodies, and how they are validated.

Pydantic, not REST framework's serializers: those ignore unknown fields and convert types.
"""

from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails
from rest_framework.request import Request

from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import FieldError, Problem

MAX_INTEGER: Final = 2**53 - 1
"""The largest integer that every JSON library reads exactly (RFC 7493)."""


class RequestSchema(BaseModel):
    """A request body: no unknown fields, no converted types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class EmptyBody(RequestSchema):
    """A body without fields."""


B = TypeVar("B", bound=RequestSchema)


def parse_body(schema: type[B], request: Request) -> B:
    """Return the validated body; a missing body counts as an empty object.

    Raises a Problem that points to each wrong field.
    """
    is_empty = request.META.get("CONTENT_LENGTH", "") in ("", "0")
    try:
        return schema.model_validate({} if is_empty else request.data)
    except ValidationError as error:
        errors = [FieldError(pointer(detail["loc"]), _message(detail)) for detail in error.errors()]
        raise invalid_request("The body is not valid for this endpoint.", errors) from None


def invalid_request(detail: str, errors: list[FieldError]) -> Problem:
    return Problem(ProblemType.INVALID_REQUEST, detail, errors)


_MESSAGES: Final = {
    "model_type": "An object is expected here",
    "extra_forbidden": "Unknown field",
    "missing": "This field is missing",
    "too_long": "At most {max_length} are allowed here",
    "too_short": "At least {min_length} is required here",
}


def _message(error: ErrorDetails) -> str:
    message = _MESSAGES.get(error["type"])
    return message.format(**error.get("ctx", {})) if message else error["msg"]


def pointer(path: tuple[int | str, ...]) -> str:
    """Return a path as a JSON pointer (RFC 6901)."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
