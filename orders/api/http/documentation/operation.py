"""What a view says about one of its methods for the OpenAPI document.

drf-spectacular's ``extend_schema`` would repeat shared headers and problems for each operation;
the inspector derives those from the flags here and from the view.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, TypeVar

from drf_spectacular.utils import OpenApiParameter
from pydantic import BaseModel

from orders.api.http.problem_types import ProblemType
from orders.api.http.query_params import QueryParams
from orders.api.http.request_schemas import RequestSchema

F = TypeVar("F", bound=Callable[..., Any])

_ATTRIBUTE: Final = "openapi_operation"


@dataclass(frozen=True, slots=True)
class ResponseHeader:
    """A header that a response may have."""

    name: str
    description: str
    type: str = "string"


@dataclass(frozen=True, slots=True)
class SuccessResponse:
    """A response that is not a problem."""

    status: HTTPStatus
    description: str
    body: type[BaseModel] | Mapping[str, Any] | None = None
    """A model; a JSON schema where the response is not JSON."""
    examples: Mapping[str, Any] = field(default_factory=dict)
    """Bodies by title."""
    headers: tuple[ResponseHeader, ...] = ()
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of a view. Scope, path parameters and shared problems are derived."""

    id: str
    tag: str
    summary: str
    description: str
    responses: tuple[SuccessResponse, ...]
    query: type[QueryParams] | None = None
    body: type[RequestSchema] | None = None
    body_examples: Mapping[str, Any] = field(default_factory=dict)
    """Request bodies by title."""
    headers: tuple[OpenApiParameter, ...] = ()
    """Request headers besides those of the flags."""
    problems: tuple[ProblemType, ...] = ()
    """Problems besides those that come with the flags, the query, the body and the path."""
    is_conditional: bool = False
    """Whether the view returns ``conditional_response``: ETag, If-None-Match, 304, 412."""
    is_idempotent: bool = False
    """Whether the view requires an Idempotency-Key."""
    can_wait: bool = False
    """Whether the view honours ``Prefer: wait``."""


def documented(operation: Operation) -> Callable[[F], F]:
    """Attach an operation to a view's method. A method without one fails the generation."""

    def attach(method: F) -> F:
        setattr(method, _ATTRIBUTE, operation)
        return method

    return attach


def operation_of(view: Any, method: str) -> Operation | None:
    """Return the operation that ``documented`` attached to a view's method; None without one."""
    return getattr(getattr(view, method.lower(), None), _ATTRIBUTE, None)
