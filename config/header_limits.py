"""How long a header may be as a whole: gunicorn limits each line, and joins lines of one name."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

LONGEST_HEADER: Final = 8190
"""Bytes, as gunicorn takes in one line."""

_TOO_LONG: Final = f"A header may have {LONGEST_HEADER} bytes, all its lines together.\n".encode()


def refuse_long_headers(application: WSGIApplication) -> WSGIApplication:
    """Answer 431 to a request with a header of more than LONGEST_HEADER bytes.

    Gunicorn would take a hundred lines of one name, and make one value of them. Before any code of
    ours runs, Python reads the cookies; before 3.11.10 that costs the square of their length.
    """

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not _has_long_header(environ):
            return application(environ, start_response)
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        length = str(len(_TOO_LONG))
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", length)]
        start_response(f"{status.value} {status.phrase}", headers)
        return [_TOO_LONG]

    return answer


def _has_long_header(environ: WSGIEnvironment) -> bool:
    return any(
        len(value) > LONGEST_HEADER for name, value in environ.items() if name.startswith("HTTP_")
    )
