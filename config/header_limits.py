"""WSGI middleware that limits the length of a whole header. Gunicorn limits single lines only."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

LONGEST_HEADER: Final = 8190
"""Bytes; the same as gunicorn's limit for one line."""

_TOO_LONG: Final = f"A header may have {LONGEST_HEADER} bytes in all its lines together.\n".encode()


def refuse_long_headers(application: WSGIApplication) -> WSGIApplication:
    """Answer 431 to a request with a header of more than LONGEST_HEADER bytes.

    Gunicorn accepts a hundred lines with one name, and joins them to one value. Django parses the
    cookies before our code runs; before Python 3.11.10 the cost is quadratic in their length.
    """

    def limit_headers(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not _has_long_header(environ):
            return application(environ, start_response)
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        length = str(len(_TOO_LONG))
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", length)]
        start_response(f"{status.value} {status.phrase}", headers)
        return [_TOO_LONG]

    return limit_headers


def _has_long_header(environ: WSGIEnvironment) -> bool:
    return any(
        len(value) > LONGEST_HEADER for name, value in environ.items() if name.startswith("HTTP_")
    )
