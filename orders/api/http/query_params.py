"""Query parameters, read as strictly as bodies: nothing unknown, nothing twice, nothing guessed."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, TypeVar, get_origin

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

from access.accounts import USERNAME
from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import FieldError, Problem
from orders.models import REFERENCE
from orders.states import OrderStatus

_NUMBER: Final = re.compile(r"[0-9]+")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]", re.ASCII)
_MOMENT: Final = "Write a moment with its zone, as 2026-11-21T08:00:00Z; + in a URL is written %2B"

FORMS: Final = {
    "customer": "the shop's name of a customer: letters, digits and @.+-_, 150 at most",
    "reference": "letters, digits and ._:-, 64 at most",
}
"""What a pattern asks for, in words."""

Expansion = Literal["items", "timeline", "payments"]


def _digits(value: Any) -> Any:
    """Pydantic would take "1_0" and " 10.0" for numbers too."""
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise ValueError("Write a whole number in digits")
    return value


def _not_a_number(value: Any) -> Any:
    """Pydantic would take seconds since 1970 too."""
    if isinstance(value, str) and not _DATE.match(value):
        raise ValueError(_MOMENT)
    return value


def _in_utc(moment: datetime) -> datetime:
    """Raises ValueError for one that, in UTC, is in no year that a database knows."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("There is no such year") from None


def _split(values: Any) -> Any:
    """Lists may be written with commas, and as several parameters."""
    return [each for value in values for each in value.split(",")]


Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_not_a_number),
    AfterValidator(_in_utc),
]
Several = BeforeValidator(_split)
PageSize = Annotated[int, Field(ge=1, le=100), BeforeValidator(_digits)]
Cursor = Annotated[str, Field(max_length=512)]


class Query(BaseModel):
    """The parameters that an endpoint knows."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoQuery(Query):
    """Of an endpoint without parameters."""


class ExpandQuery(Query):
    """What is to be shown along with an order."""

    expand: Annotated[
        frozenset[Expansion],
        Field(min_length=1),
        Several,
        Field(description="What is to be shown along; several with commas, or as parameters."),
    ] = frozenset()


class OrdersQuery(ExpandQuery):
    """Which orders are to be listed, and how many at once."""

    status: Annotated[
        frozenset[OrderStatus],
        Field(min_length=1),
        Several,
        Field(description="Those with one of these; several with commas, or as parameters."),
    ] = frozenset()
    created_after: Annotated[
        Moment | None, Field(description="Those placed at this moment (RFC 3339) or later.")
    ] = None
    created_before: Annotated[
        Moment | None, Field(description="Those placed before this moment (RFC 3339).")
    ] = None
    reference: Annotated[
        str | None, Field(pattern=REFERENCE, description="The one that you gave this name.")
    ] = None
    customer: Annotated[
        str | None,
        Field(pattern=USERNAME, description="That one's; for a token with the scope `shop` alone."),
    ] = None
    page_size: Annotated[PageSize, Field(description="Orders in a page.")] = 20
    cursor: Annotated[
        Cursor | None, Field(description="Where the page begins: from `next` and `previous`.")
    ] = None


class ProductsQuery(Query):
    """How many products are to be listed at once."""

    page_size: Annotated[PageSize, Field(description="Products in a page.")] = 100
    cursor: Annotated[Cursor | None, Field(description="Where the page begins: from `next`.")] = (
        None
    )


Q = TypeVar("Q", bound=Query)


def parse_query(kind: type[Q], request: Request) -> Q:
    """Read the parameters. Raises a Problem that names every one that is wrong."""
    given: dict[str, Any] = dict(request.query_params.lists())
    errors = []
    for name, values in given.items():
        field = kind.model_fields.get(name)
        if field is None:
            errors.append(parameter_error(name, "There is no such parameter here"))
        elif get_origin(field.annotation) is not frozenset:
            given[name] = values[-1]
            if len(values) > 1:
                errors.append(parameter_error(name, "Give it once"))
    if errors:
        raise invalid_query(errors)
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        wrong = {str(each["loc"][0]): _in_words(each) for each in error.errors()}
        raise invalid_query([parameter_error(*each) for each in wrong.items()]) from None


def _in_words(error: ErrorDetails) -> str:
    if error["type"] == "string_pattern_mismatch":
        return f"PriceExpectation: {FORMS[str(error['loc'][0])]}"
    if error["type"].startswith(("datetime", "timezone")):
        return _MOMENT
    return error["msg"]


def parameter_error(name: str, detail: str) -> FieldError:
    return FieldError(name[:64], detail.removeprefix("Value error, "), "parameter")


def invalid_query(errors: list[FieldError]) -> Problem:
    return Problem(ProblemType.INVALID_QUERY, "The query is not what this endpoint takes.", errors)
