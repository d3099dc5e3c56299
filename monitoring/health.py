"""Health checks of a web process, for load balancers and container runtimes.

The first middleware answers them, before the host name, session or caller are checked: they are
sent to any address of the process. The bodies contain no versions, hosts or error texts.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase

from monitoring.readiness import Status, broker, database

GetResponse = Callable[[HttpRequest], HttpResponseBase]

LIVE: Final = "/health/live"
READY: Final = "/health/ready"


class HealthMiddleware:
    """Answers ``/health/live`` and ``/health/ready``; passes all other requests on."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info == LIVE:
            return _response({"status": "live"})
        if request.path_info == READY:
            return ready()
        return self._get_response(request)


def ready() -> JsonResponse:
    """Return 200 if orders are accepted; 503 while the database does not answer or is not migrated.

    Without the broker orders are accepted and continue when it is back: 200, with "degraded".
    """
    checks = {"database": database.status(), "broker": broker.status()}
    if checks["database"] != Status.OK:
        return _response({"status": "not ready", **checks}, HTTPStatus.SERVICE_UNAVAILABLE)
    status = "ready" if checks["broker"] == Status.OK else "degraded"
    return _response({"status": status, **checks})


def _response(body: dict[str, str], status: HTTPStatus = HTTPStatus.OK) -> JsonResponse:
    return JsonResponse(body, status=status, headers={"Cache-Control": "no-store"})
