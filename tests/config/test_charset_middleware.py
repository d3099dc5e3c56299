"""What a body is said to be written in: UTF-8, or bytes of which nobody makes a 500."""

from io import BytesIO
from wsgiref.types import WSGIApplication, WSGIEnvironment

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.test import RequestFactory

from config.charset_middleware import only_utf8

pytestmark = pytest.mark.django_db  # the handler looks after its connections

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
def test_a_body_in_another_charset_is_mere_bytes(parameters: str) -> None:
    environ = sent_as(f"application/json{parameters}")

    status = ask(only_utf8(WSGIHandler()), environ)

    assert status == "200 OK"  # of a page, which reads no body
    assert environ["CONTENT_TYPE"] == "application/octet-stream"


@pytest.mark.parametrize(
    "content_type",
    ["", "application/json", "application/json;charset=UTF-8", 'text/x; charset="utf8"; a=b'],
)
def test_a_body_in_utf_8_stays_what_it_is(content_type: str) -> None:
    environ = sent_as(content_type)

    status = ask(only_utf8(WSGIHandler()), environ)

    assert status == "200 OK"
    assert environ["CONTENT_TYPE"] == content_type


def test_django_alone_breaks_over_a_charset_that_is_none_of_text() -> None:
    with pytest.raises(LookupError, match="hex"):
        ask(WSGIHandler(), sent_as("application/json; charset=hex"))


def sent_as(content_type: str) -> WSGIEnvironment:
    environ = RequestFactory().get(QUERY).META
    return {**environ, "CONTENT_TYPE": content_type, "wsgi.input": BytesIO()}


def ask(application: WSGIApplication, environ: WSGIEnvironment) -> str:
    """Send one request, and return the status of the answer."""
    statuses: list[str] = []

    def start(status: str, headers: object, exc_info: object = None, /) -> object:
        statuses.append(status)
        return statuses.append

    b"".join(application(environ, start))  # type: ignore[arg-type]
    return statuses[0]
