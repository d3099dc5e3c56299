"""Gives every request a correlation id, one log line and metrics."""

import logging
import re
import time
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.functional import LazyObject
from structlog.contextvars import bind_contextvars, clear_contextvars

from monitoring import request_metrics
from sagas.identifiers import new_id

log = logging.getLogger(__name__)

_REQUEST_ID: Final = re.compile(r"[\x20-\x7e]{1,128}")

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class RequestMiddleware:
    """Stands before other middleware, so that their log lines have the id.

    ``correlation_id`` is a UUIDv7; the order that the request places keeps it. A client's own
    ``X-Request-ID`` is logged too, and returned. The log line has the route and the caller's primary
    key. It has no path, query, header or body, because these may contain anything.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        correlation_id = str(new_id())
        request_id = _request_id(request)
        clear_contextvars()
        bind_contextvars(correlation_id=correlation_id)
        if request_id:
            bind_contextvars(request_id=request_id)
        began_at = time.perf_counter()
        try:
            response = self._get_response(request)
            _report(request, response, time.perf_counter() - began_at)
        finally:
            clear_contextvars()
        response["X-Correlation-ID"] = correlation_id
        if request_id:
            response["X-Request-ID"] = request_id
        return response


def _request_id(request: HttpRequest) -> str:
    request_id = request.META.get("HTTP_X_REQUEST_ID", "")
    return request_id if _REQUEST_ID.fullmatch(request_id) else ""


def _report(request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
    route, method = _route(request), request.method or ""
    request_metrics.count(route, method, response.status_code, seconds)
    log.info(
        "request",
        extra={
            "method": method,
            "route": route,
            "status": response.status_code,
            "duration_ms": round(seconds * 1000, 1),
            "user_id": _caller_id(request),
        },
    )


def _route(request: HttpRequest) -> str:
    """Return the name of the matched route; empty if no route matched."""
    match = request.resolver_match
    return match.view_name if match else ""


def _caller_id(request: HttpRequest) -> int | None:
    """Return the caller's primary key if it is known already; logging reads no user."""
    user = getattr(request, "_cached_user", None) or getattr(request, "user", None)
    return None if isinstance(user, LazyObject) else getattr(user, "pk", None)
