"""Keeps responses of the API out of caches, unless a view says otherwise."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from orders.api.http.error_pages import is_api_request


class NoStoreMiddleware:
    """Sets ``Cache-Control: no-store`` on each API response without a Cache-Control of its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        if is_api_request(request):
            response.headers.setdefault("Cache-Control", "no-store")
        return response
