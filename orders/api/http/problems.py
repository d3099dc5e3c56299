"""Errors as RFC 9457 problem details: the only place that words one for a client."""

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
MOST_ERRORS: Final = 50
"""How many wrong fields an answer names: it is not to be larger than what was asked."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong: where, and what.

    A place in the body is a JSON pointer (RFC 6901); a parameter or header is its name.
    """

    where: str
    detail: str
    kind: Literal["pointer", "parameter", "header"] = "pointer"


class Problem(Exception):
    """A request that is answered with an error, and changes nothing."""

    def __init__(
        self,
        kind: ProblemType,
        detail: str,
        errors: Sequence[FieldError] = (),
        *,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})
        self.more = more or {}

    def body(self) -> dict[str, Any]:
        """The members of RFC 9457, and ours: ``errors``, ``more``, and the request's id."""
        body: dict[str, Any] = {
            "type": self.kind.uri,
            "title": self.kind.title,
            "status": self.kind.status.value,
            "detail": self.detail,
        }
        if self.errors:
            named = self.errors[:MOST_ERRORS]
            body["errors"] = [{each.kind: each.where, "detail": each.detail} for each in named]
        body |= self.more
        if correlation_id := get_contextvars().get("correlation_id"):
            body["correlation_id"] = correlation_id
        return body


def not_found() -> Problem:
    """The same for what never was and for what is somebody else's."""
    return Problem(ProblemType.NOT_FOUND, "There is nothing here for you.")


def malformed(detail: str) -> Problem:
    return Problem(ProblemType.MALFORMED_REQUEST, detail)


def torn(cause: BaseException | None) -> Problem:
    """Tell whoever stopped in the middle of a body; ``cause`` is how reading on ended."""
    if isinstance(cause, BlockingIOError):  # a silence longer than the server waits
        return Problem(ProblemType.REQUEST_TIMEOUT, "The rest of the body did not come in time.")
    return malformed("The body ended before its end.")


def internal_error() -> Problem:
    return Problem(
        ProblemType.INTERNAL_ERROR,
        "Something went wrong on our side. Repeat the request with the same Idempotency-Key.",
    )


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer what a view raised; None leaves a bug to Django, which reports it and answers 500."""
    problem = problem_of(error)
    if problem is None:
        return None
    if request := context.get("request"):
        # A problem is JSON, whatever the view would have rendered.
        request.accepted_renderer = JSONRenderer()
        request.accepted_media_type = JSONRenderer.media_type
    return Response(
        problem.body(),
        status=problem.kind.status,
        headers=problem.headers,
        content_type=CONTENT_TYPE,
    )


def problem_of(error: BaseException | None) -> Problem | None:
    """Return how a client is told of what was raised, by whomever; None when it is a bug."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, exceptions.APIException):
        return _of_rest_framework(error)
    if isinstance(error, OperationalError | InterfaceError):
        return _database_unavailable(error)
    for raised, kind, detail in _OF_DJANGO:
        if isinstance(error, raised):
            return Problem(kind, detail)
    return None


_OF_DJANGO: Final[Sequence[tuple[type[Exception], ProblemType, str]]] = (
    (Http404, ProblemType.NOT_FOUND, "There is nothing here for you."),
    (PermissionDenied, ProblemType.PERMISSION_DENIED, "This is not for you."),
    (DisallowedHost, ProblemType.UNKNOWN_HOST, "This host is not served here."),
    (SuspiciousOperation, ProblemType.MALFORMED_REQUEST, "The request makes no sense."),
    (BadRequest, ProblemType.MALFORMED_REQUEST, "The request makes no sense."),
    (MultiPartParserError, ProblemType.MALFORMED_REQUEST, "The form cannot be read."),
)

_KINDS: Final[Sequence[tuple[type[exceptions.APIException], ProblemType]]] = (
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


def _of_rest_framework(error: exceptions.APIException) -> Problem | None:
    kind = next((kind for raised, kind in _KINDS if isinstance(error, raised)), None)
    if kind is None:
        return None
    headers: dict[str, str] = dict(getattr(error, "headers", {}))
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(math.ceil(wait))
    if kind is ProblemType.UNSUPPORTED_MEDIA_TYPE:  # the library names what we made of it
        return Problem(kind, "A body is taken as application/json in UTF-8.", headers=headers)
    return Problem(kind, str(error.detail), headers=headers)


def _database_unavailable(error: Exception) -> Problem:
    log.error("database.unavailable", exc_info=error)
    return Problem(
        ProblemType.TEMPORARILY_UNAVAILABLE,
        "The database did not answer in time. Repeat the request with the same Idempotency-Key.",
        headers={"Retry-After": "2"},
    )
