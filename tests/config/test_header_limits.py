"""How long a header may be, all lines of one name together."""

from wsgiref.types import WSGIApplication

import pytest

from config.header_limits import LONGEST_HEADER, refuse_long_headers
from config.wsgi import application as served


def ask(application: WSGIApplication, **headers: str) -> tuple[str, dict[str, str], bytes]:
    """Send one request, and return status, headers and body of the answer."""
    heads: list[tuple[str, dict[str, str]]] = []

    def start(status: str, headers: list[tuple[str, str]], exc_info: object = None, /) -> object:
        heads.append((status, dict(headers)))
        return heads.append

    body = b"".join(application({"REQUEST_METHOD": "GET", **headers}, start))  # type: ignore[arg-type]
    ((status, found),) = heads
    return status, found, body


def hello(_environ: object, start_response: object) -> list[bytes]:
    start_response("200 OK", [])  # type: ignore[operator]
    return [b"hello"]


@pytest.mark.parametrize("name", ["HTTP_COOKIE", "HTTP_ACCEPT", "HTTP_PREFER", "HTTP_X_ANY"])
def test_a_header_longer_than_a_line_is_refused(name: str) -> None:
    limited = refuse_long_headers(hello)

    refused = ask(limited, **{name: "\\a" * (LONGEST_HEADER // 2 + 1)})

    text = b"A header may have 8190 bytes, all its lines together.\n"
    headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(text))}
    assert refused == ("431 Request Header Fields Too Large", headers, text)
    assert ask(limited, **{name: "a" * LONGEST_HEADER}) == ("200 OK", {}, b"hello")


def test_web_refuses_them_before_it_reads_the_cookies() -> None:
    status, _, _ = ask(served, HTTP_COOKIE='a="' + "\\a" * 400_000)

    assert status == "431 Request Header Fields Too Large"
