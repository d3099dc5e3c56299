"""Where load balancers and container runtimes ask after a web process, before anything else does.

They come by whatever address the process has, so this answers before a request's host, session or
caller is looked at; and says nothing of versions, hosts or errors.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase

from monitoring.readiness import Finding, broker, database

Answer = Callable[[HttpRequest], HttpResponseBase]

LIVE: Final = "/health/live"
READY: Final = "/health/ready"


class HealthMiddleware:
    """Answers below ``/health/``, and hands everything else on."""

    def __init__(self, get_response: Answer) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info == LIVE:
            return _answer({"status": "live"})
        if request.path_info == READY:
            return ready()
        return self._get_response(request)


def ready() -> JsonResponse:
    """Say whether orders can be taken: 503 while the database does not answer or is not migrated.

    Without the broker they are taken, and carried once it is back: that is degraded, and ready.
    """
    found = {"database": database.find(), "broker": broker.find()}
    if found["database"] != Finding.OK:
        return _answer({"status": "not ready", **found}, HTTPStatus.SERVICE_UNAVAILABLE)
    status = "ready" if found["broker"] == Finding.OK else "degraded"
    return _answer({"status": status, **found})


def _answer(body: dict[str, str], status: HTTPStatus = HTTPStatus.OK) -> JsonResponse:
    return JsonResponse(body, status=status, headers={"Cache-Control": "no-store"})
