"""Refuses request bodies that no endpoint accepts, before Django reads them."""

import io
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponseBase

from orders.api.http.error_pages import is_api_request, problem_response
from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import Problem, incomplete_body, malformed_request

MAX_BODY_BYTES: Final = 64 * 1024


class BodyLimitMiddleware:
    """Limits bodies to ``MAX_BODY_BYTES`` and refuses compressed ones.

    Django limits forms only, and does not read chunked bodies at all. A body with a known length
    is refused by its length; a chunked one is read up to the limit. Gunicorn closes the connection
    of a client that keeps sending.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            check_body(request)
        except Problem as problem:
            return problem_response(request, problem)
        return self._get_response(request)


def check_body(request: HttpRequest) -> None:
    """Raise a Problem for a compressed or too large body; give a chunked body a known length."""
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower()
    if is_api_request(request) and encoding != "identity":
        raise Problem(
            ProblemType.UNSUPPORTED_MEDIA_TYPE,
            "Send the body uncompressed, without Content-Encoding.",
            headers={"Accept-Encoding": "identity"},
        )
    if "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        _join_chunks(request)
    elif is_api_request(request) and _content_length(request) > MAX_BODY_BYTES:
        raise _too_large()


def _join_chunks(request: HttpRequest) -> None:
    """Replace a chunked body by one with a Content-Length, which is all that Django reads."""
    try:
        body = request.META["wsgi.input"].read(MAX_BODY_BYTES + 1)
    except BlockingIOError as error:
        raise incomplete_body(error) from None
    except Exception:  # noqa: BLE001 - each WSGI server raises its own errors for broken chunks
        raise malformed_request("The body is incomplete, or its chunks are malformed.") from None
    if len(body) > MAX_BODY_BYTES:
        raise _too_large()
    request.META["CONTENT_LENGTH"] = str(len(body))
    request._stream = io.BytesIO(body)  # noqa: SLF001 - Django has no public setter


def _content_length(request: HttpRequest) -> int:
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit()):
        raise malformed_request("Content-Length must be a number of bytes.")
    return int(length)


def _too_large() -> Problem:
    return Problem(
        ProblemType.BODY_TOO_LARGE, f"The body is larger than the limit of {MAX_BODY_BYTES} bytes."
    )
