"""Applies the desk's middleware to the desk's requests only, in a process that also serves the storefront."""

from collections.abc import Callable

from django.core.handlers.base import BaseHandler
from django.http import HttpRequest, HttpResponse

from config.serving import DESK_PATH

GetResponse = Callable[[HttpRequest], HttpResponse]


class DeskOnlyMiddleware:
    """Passes the desk's requests to the middleware below it, and all others directly to their view.

    Installed only with ``SERVE=both``.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self._desk = get_response
        self._storefront = ViewHandler().respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(DESK_PATH):
            return self._desk(request)
        return self._storefront(request)


class ViewHandler(BaseHandler):
    """Django's handler without middleware: it finds the view of a request and calls it."""

    def __init__(self) -> None:
        self._view_middleware: list[object] = []
        self._template_response_middleware: list[object] = []
        self._exception_middleware: list[object] = []

    def respond(self, request: HttpRequest) -> HttpResponse:
        response: HttpResponse = self._get_response(request)  # type: ignore[attr-defined]  # no stub
        return response
