"""Charsets other than UTF-8 are hidden from Django, which would answer some of them with a 500."""

from io import BytesIO
from wsgiref.types import WSGIApplication, WSGIEnvironment

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.test import RequestFactory

from config.charset_middleware import only_utf8

pytestmark = pytest.mark.django_db  # the handler closes connections

QUERY = "/problems/?number=%41&number=%ff"


@pytest.mark.parametrize(
    "parameters",
    [
        "; charset=latin-1",
        "; charset=utf-16",
        "; charset=hex",
        "; charset=zip",
        ";CHARSET = rot13",
        '; charset="hex"',
        "; charset=no-such",
        "; charset=",
        "; charset=utf-8; charset=hex",
        "; charset*=hex''utf-8",
        "; name*=hex''utf-8",
    ],
)
def test_another_charset_is_replaced_by_octet_stream(parameters: str) -> None:
    environ = environ_with(f"application/json{parameters}")

    status = send(only_utf8(WSGIHandler()), environ)

    assert status == "200 OK"  # the page does not read the body
    assert environ["CONTENT_TYPE"] == "application/octet-stream"


@pytest.mark.parametrize(
    "content_type",
    ["", "application/json", "application/json;charset=UTF-8", 'text/x; charset="utf8"; a=b'],
)
def test_utf_8_is_kept(content_type: str) -> None:
    environ = environ_with(content_type)

    status = send(only_utf8(WSGIHandler()), environ)

    assert status == "200 OK"
    assert environ["CONTENT_TYPE"] == content_type


def test_django_alone_raises_for_a_non_text_charset() -> None:
    with pytest.raises(LookupError, match="hex"):
        send(WSGIHandler(), environ_with("application/json; charset=hex"))


def environ_with(content_type: str) -> WSGIEnvironment:
    environ = RequestFactory().get(QUERY).META
    return {**environ, "CONTENT_TYPE": content_type, "wsgi.input": BytesIO()}


def send(application: WSGIApplication, environ: WSGIEnvironment) -> str:
    """Send one request, and return the status of the response."""
    statuses: list[str] = []

    def start(status: str, headers: object, exc_info: object = None, /) -> object:
        statuses.append(status)
        return statuses.append

    b"".join(application(environ, start))  # type: ignore[arg-type]
    return statuses[0]
