"""Errors as RFC 9457 problem details. All error responses of the API are built here."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from django.core.exceptions import (
    BadRequest,
    DisallowedHost,
    PermissionDenied,
    SuspiciousOperation,
)
from django.db import InterfaceError, OperationalError
from django.http import Http404
from django.http.multipartparser import MultiPartParserError
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from structlog.contextvars import get_contextvars

from access.errors import LinkExpired, ScopeMissing
from orders.api.http.problem_types import ProblemType

log = logging.getLogger(__name__)

CONTENT_TYPE: Final = "application/problem+json"
MAX_ERRORS: Final = 50
"""How many wrong fields a response names, so that it is not larger than the request."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong part of a request: its location and what is wrong with it.

    The location is a JSON pointer into the body (RFC 6901), or a parameter's or header's name.
    """

    location: str
    detail: str
    kind: Literal["pointer", "parameter", "header"] = "pointer"


class Problem(Exception):
    """An error response. Raised before anything is changed, or inside the transaction."""

    def __init__(
        self,
        problem_type: ProblemType,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.type = problem_type
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})
        self.extensions = extensions or {}

    def body(self) -> dict[str, Any]:
        """Return the members of RFC 9457, ``errors``, the extensions and the correlation id."""
        body: dict[str, Any] = {
            "type": self.type.uri,
            "title": self.type.title,
            "status": self.type.status.value,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = [
                {error.kind: error.location, "detail": error.detail}
                for error in self.errors[:MAX_ERRORS]
            ]
        body |= self.extensions
        if correlation_id := get_contextvars().get("correlation_id"):
            body["correlation_id"] = correlation_id
        return body


def not_found() -> Problem:
    """Return the 404 for what does not exist and for what belongs to another customer."""
    return Problem(ProblemType.NOT_FOUND, _NOT_FOUND)


def malformed_request(detail: str) -> Problem:
    return Problem(ProblemType.MALFORMED_REQUEST, detail)


def incomplete_body(cause: BaseException | None) -> Problem:
    """Return the problem for a body whose end did not arrive; ``cause`` is the read error."""
    if isinstance(cause, BlockingIOError):  # the client was silent longer than the server waits
        return Problem(ProblemType.REQUEST_TIMEOUT, "The rest of the body did not arrive in time.")
    return malformed_request("The body is incomplete.")


def internal_error() -> Problem:
    return Problem(
        ProblemType.INTERNAL_ERROR,
        "Something went wrong on our side. Repeat the request with the same Idempotency-Key.",
    )


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the response for an exception of a view. REST framework's handler has no RFC 9457.

    Returns None for a bug: Django reports it and answers 500.
    """
    problem = problem_from(error)
    if problem is None:
        return None
    if request := context.get("request"):
        # Problems are JSON, also where the view renders something else.
        request.accepted_renderer = JSONRenderer()
        request.accepted_media_type = JSONRenderer.media_type
    return Response(
        problem.body(),
        status=problem.type.status,
        headers=problem.headers,
        content_type=CONTENT_TYPE,
    )


def problem_from(error: BaseException | None) -> Problem | None:
    """Return the problem for an exception, or None when the exception is a bug."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, exceptions.APIException):
        return _from_rest_framework(error)
    if isinstance(error, OperationalError | InterfaceError):
        return _database_unavailable(error)
    for error_class, problem_type, detail in _DJANGO_ERRORS:
        if isinstance(error, error_class):
            return Problem(problem_type, detail)
    return None


_NOT_FOUND: Final = "Nothing was found here for this caller."
_UNREADABLE: Final = "The server could not interpret the request."

_DJANGO_ERRORS: Final[Sequence[tuple[type[Exception], ProblemType, str]]] = (
    (Http404, ProblemType.NOT_FOUND, _NOT_FOUND),
    (PermissionDenied, ProblemType.PERMISSION_DENIED, "You do not have this permission."),
    (DisallowedHost, ProblemType.UNKNOWN_HOST, "This host is not served here."),
    (SuspiciousOperation, ProblemType.MALFORMED_REQUEST, _UNREADABLE),
    (BadRequest, ProblemType.MALFORMED_REQUEST, _UNREADABLE),
    (MultiPartParserError, ProblemType.MALFORMED_REQUEST, "The form could not be parsed."),
)

_REST_FRAMEWORK_ERRORS: Final[Sequence[tuple[type[exceptions.APIException], ProblemType]]] = (
    (exceptions.NotAuthenticated, ProblemType.NOT_AUTHENTICATED),
    (exceptions.AuthenticationFailed, ProblemType.NOT_AUTHENTICATED),
    (ScopeMissing, ProblemType.SCOPE_MISSING),
    (LinkExpired, ProblemType.LINK_EXPIRED),
    (exceptions.PermissionDenied, ProblemType.PERMISSION_DENIED),
    (exceptions.NotFound, ProblemType.NOT_FOUND),
    (exceptions.MethodNotAllowed, ProblemType.METHOD_NOT_ALLOWED),
    (exceptions.NotAcceptable, ProblemType.NOT_ACCEPTABLE),
    (exceptions.UnsupportedMediaType, ProblemType.UNSUPPORTED_MEDIA_TYPE),
    (exceptions.Throttled, ProblemType.TOO_MANY_REQUESTS),
    (exceptions.ParseError, ProblemType.MALFORMED_REQUEST),
)


def _from_rest_framework(error: exceptions.APIException) -> Problem | None:
    problem_type = next(
        (known for error_class, known in _REST_FRAMEWORK_ERRORS if isinstance(error, error_class)),
        None,
    )
    if problem_type is None:
        return None
    headers: dict[str, str] = dict(getattr(error, "headers", {}))
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(math.ceil(wait))
    if problem_type is ProblemType.UNSUPPORTED_MEDIA_TYPE:
        # REST framework would name the type that config.charset_middleware put in its place.
        return Problem(problem_type, "Send the body as application/json in UTF-8.", headers=headers)
    return Problem(problem_type, str(error.detail), headers=headers)


def _database_unavailable(error: Exception) -> Problem:
    log.error("database.unavailable", exc_info=error)
    return Problem(
        ProblemType.TEMPORARILY_UNAVAILABLE,
        "The database did not answer in time. Repeat the request with the same Idempotency-Key.",
        headers={"Retry-After": "2"},
    )
