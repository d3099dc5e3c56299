"""Strict query parameters: an unknown, repeated or malformed one is refused.

A pydantic model declares them, which the OpenAPI document repeats. REST framework's serializers
ignore unknown parameters and take the last of several values.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar, get_origin

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)
from pydantic_core import ErrorDetails
from rest_framework.request import Request

from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import FieldError, Problem

_DIGITS: Final = re.compile(r"[0-9]+")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]", re.ASCII)
_TIMESTAMP_FORMAT: Final = (
    "Write a time with its zone, as 2026-11-21T08:00:00Z; + in a URL is written %2B"
)


def _digits_only(value: Any) -> Any:
    """Refuse what pydantic would also read as a number, such as "1_0" and " 10.0"."""
    if isinstance(value, str) and not _DIGITS.fullmatch(value):
        raise ValueError("Write a whole number in digits")
    return value


def _date_only(value: Any) -> Any:
    """Refuse what pydantic would also read as a time: seconds since 1970."""
    if isinstance(value, str) and not _DATE.match(value):
        raise ValueError(_TIMESTAMP_FORMAT)
    return value


def _in_utc(timestamp: datetime) -> datetime:
    """Convert to UTC. Raises ValueError when the result is outside of Python's years."""
    try:
        return timestamp.astimezone(UTC)
    except OverflowError:
        raise ValueError("There is no such year") from None


def _split_commas(values: Any) -> Any:
    return [part for value in values for part in value.split(",")]


Timestamp = Annotated[AwareDatetime, BeforeValidator(_date_only), AfterValidator(_in_utc)]
CommaSeparated = BeforeValidator(_split_commas)
"""For a list that is written with commas, as several parameters, or both."""
InDigits = BeforeValidator(_digits_only)
"""For a whole number, which is written in digits only."""
PageSize = Annotated[int, Field(ge=1, le=100), InDigits]
Cursor = Annotated[str, Field(max_length=512)]


class QueryParams(BaseModel):
    """The query parameters of one endpoint. Base class without any."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Q = TypeVar("Q", bound=QueryParams)


def parse_query(params: type[Q], request: Request) -> Q:
    """Return the parameters of a request. Raises a Problem that names each wrong one."""
    given: dict[str, Any] = dict(request.query_params.lists())
    errors = []
    for name, values in given.items():
        field = params.model_fields.get(name)
        if field is None:
            errors.append(parameter_error(name, "Unknown parameter"))
        elif get_origin(field.annotation) is not frozenset:
            given[name] = values[-1]
            if len(values) > 1:
                errors.append(parameter_error(name, "Given more than once"))
    if errors:
        raise invalid_query(errors)
    try:
        return params.model_validate(given)
    except ValidationError as error:
        messages = {str(detail["loc"][0]): _message(detail) for detail in error.errors()}
        raise invalid_query(
            [parameter_error(name, message) for name, message in messages.items()]
        ) from None


def _message(error: ErrorDetails) -> str:
    if error["type"].startswith(("datetime", "timezone")):
        return _TIMESTAMP_FORMAT
    return error["msg"]


def parameter_error(name: str, detail: str) -> FieldError:
    return FieldError(name[:64], detail.removeprefix("Value error, "), "parameter")


def invalid_query(errors: list[FieldError]) -> Problem:
    return Problem(ProblemType.INVALID_QUERY, "The query parameters are not valid.", errors)
