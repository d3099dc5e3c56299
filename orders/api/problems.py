"""Errors as RFC 9457 problem details: the only place that words one for a client.

``type`` is stable and meant for programs; ``errors`` point into the request's body (RFC 6901).
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any, Final

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response

from access.errors import ScopeMissing

log = logging.getLogger(__name__)

CONTENT_TYPE: Final = "application/problem+json"
TYPE_BASE: Final = "/problems/"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong with one field."""

    pointer: str
    detail: str


class Problem(Exception):
    """A request that is answered with an error, and changes nothing."""

    def __init__(
        self, status: HTTPStatus, slug: str, detail: str, errors: Sequence[FieldError] = ()
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.detail = detail
        self.errors = errors

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "type": f"{TYPE_BASE}{self.slug}",
            "title": self.slug.replace("-", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = [asdict(each) for each in self.errors]
        return body


_SLUGS: Final[dict[type[exceptions.APIException], str]] = {
    exceptions.NotAuthenticated: "not-authenticated",
    exceptions.AuthenticationFailed: "not-authenticated",
    ScopeMissing: "scope-missing",
    exceptions.PermissionDenied: "permission-denied",
    exceptions.MethodNotAllowed: "method-not-allowed",
    exceptions.NotAcceptable: "not-acceptable",
    exceptions.UnsupportedMediaType: "unsupported-media-type",
    exceptions.Throttled: "too-many-requests",
    exceptions.ParseError: "malformed-request",
}


def not_found() -> Problem:
    """The same for what never was and for what is somebody else's."""
    return Problem(HTTPStatus.NOT_FOUND, "not-found", "There is nothing here for you.")


def exception_handler(error: Exception, _: dict[str, Any]) -> Response | None:
    """Answer whatever a view raised; None leaves a bug to the server's own 500."""
    headers: dict[str, str] = {}
    if isinstance(error, exceptions.APIException):
        slug = next((s for kind, s in _SLUGS.items() if isinstance(error, kind)), "bad-request")
        headers = _headers(error)
        error = Problem(HTTPStatus(error.status_code), slug, str(error.detail))
    elif isinstance(error, OperationalError | InterfaceError):
        log.error("database.unavailable", exc_info=error)
        headers = {"Retry-After": "2"}
        error = Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "temporarily-unavailable",
            "The database does not answer. Repeat the request with the same Idempotency-Key.",
        )
    if not isinstance(error, Problem):
        return None
    return Response(error.body(), status=error.status, headers=headers, content_type=CONTENT_TYPE)


def _headers(error: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait))
    return headers


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:  # noqa: ARG001 - Django's signature
    return _page(not_found())


def server_error(request: HttpRequest) -> HttpResponseBase:  # noqa: ARG001 - Django's signature
    return _page(
        Problem(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "internal-error",
            "Something went wrong on our side. Repeat the request with the same Idempotency-Key.",
        )
    )


def _page(problem: Problem) -> HttpResponseBase:
    return JsonResponse(problem.body(), status=problem.status, content_type=CONTENT_TYPE)
