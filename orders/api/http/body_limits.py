"""What holds for every request and every answer, before and after any endpoint has a say."""

import io
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponseBase

from orders.api.http.error_pages import respond
from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import Problem, malformed, torn

LARGEST_BODY: Final = 64 * 1024


class BodyLimitMiddleware:
    """Refuses bodies that no endpoint takes, before they are read; keeps answers out of caches.

    A body of a known length is refused by it; one in chunks is read up to the limit, which Django
    would not do at all. The server closes the connection of whoever sends on.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            _open(request)
        except Problem as problem:
            return respond(request, problem)
        response = self._get_response(request)
        if _is_for_the_api(request):
            response.headers.setdefault("Cache-Control", "no-store")
        return response


def _open(request: HttpRequest) -> None:
    is_for_the_api = _is_for_the_api(request)
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower()
    if is_for_the_api and encoding != "identity":
        raise Problem(
            ProblemType.UNSUPPORTED_MEDIA_TYPE,
            "A body is taken as it is, not compressed.",
            headers={"Accept-Encoding": "identity"},
        )
    if "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        _put_together(request)
    elif is_for_the_api and _length(request) > LARGEST_BODY:
        raise _too_large()


def _put_together(request: HttpRequest) -> None:
    """Turn a body in chunks into one of a known length, which is all that Django reads."""
    try:
        raw = request.META["wsgi.input"].read(LARGEST_BODY + 1)
    except BlockingIOError as error:
        raise torn(error) from None
    except Exception:  # noqa: BLE001 - each server has its own for chunks that are none
        raise malformed("The body ended before its end, or its chunks are none.") from None
    if len(raw) > LARGEST_BODY:
        raise _too_large()
    request.META["CONTENT_LENGTH"] = str(len(raw))
    request._stream = io.BytesIO(raw)  # noqa: SLF001 - there is no other way in


def _length(request: HttpRequest) -> int:
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit()):
        raise malformed("Content-Length is a number of bytes.")
    return int(length)


def _is_for_the_api(request: HttpRequest) -> bool:
    return request.path_info.startswith("/api/")


def _too_large() -> Problem:
    return Problem(ProblemType.BODY_TOO_LARGE, f"A body may have {LARGEST_BODY} bytes.")
