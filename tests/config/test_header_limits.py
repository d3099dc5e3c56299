"""The limit on the length of a header, in all its lines together."""

from wsgiref.types import WSGIApplication

import pytest

from config.header_limits import LONGEST_HEADER, refuse_long_headers
from config.wsgi import application as production_application


def send(application: WSGIApplication, **headers: str) -> tuple[str, dict[str, str], bytes]:
    """Send one request; return status, headers and body of the response."""
    responses: list[tuple[str, dict[str, str]]] = []

    def start(status: str, headers: list[tuple[str, str]], exc_info: object = None, /) -> object:
        responses.append((status, dict(headers)))
        return responses.append

    body = b"".join(application({"REQUEST_METHOD": "GET", **headers}, start))  # type: ignore[arg-type]
    ((status, found),) = responses
    return status, found, body


def hello(_environ: object, start_response: object) -> list[bytes]:
    start_response("200 OK", [])  # type: ignore[operator]
    return [b"hello"]


@pytest.mark.parametrize("name", ["HTTP_COOKIE", "HTTP_ACCEPT", "HTTP_PREFER", "HTTP_X_ANY"])
def test_a_header_above_the_limit_is_refused(name: str) -> None:
    limited = refuse_long_headers(hello)

    refused = send(limited, **{name: "\\a" * (LONGEST_HEADER // 2 + 1)})

    text = b"A header may have 8190 bytes in all its lines together.\n"
    headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(text))}
    assert refused == ("431 Request Header Fields Too Large", headers, text)
    assert send(limited, **{name: "a" * LONGEST_HEADER}) == ("200 OK", {}, b"hello")


def test_long_cookies_are_refused_before_they_are_parsed() -> None:
    status, _, _ = send(production_application, HTTP_COOKIE='a="' + "\\a" * 400_000)

    assert status == "431 Request Header Fields Too Large"
