"""WSGI middleware that hides charsets other than UTF-8 from Django."""

import re
from collections.abc import Iterable
from typing import Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_CHARSET: Final = re.compile(r"charset\s*=\s*\"?([^\";,\s]*)", re.IGNORECASE)
_UTF_8: Final = ("utf-8", "utf8", "us-ascii")


def only_utf8(application: WSGIApplication) -> WSGIApplication:
    """Replace a Content-Type with another charset by ``application/octet-stream``.

    Django decodes the query by the body's charset before our code can refuse it, and a non-text
    codec (hex, zip) would cause a 500. The views refuse a body of this type with a 415.
    """

    def replace_charset(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not _is_readable(environ.get("CONTENT_TYPE", "")):
            environ["CONTENT_TYPE"] = "application/octet-stream"
        return application(environ, start_response)

    return replace_charset


def _is_readable(content_type: str) -> bool:
    """Return whether all charsets are UTF-8. An asterisk marks a parameter with its own (RFC 8187)."""
    charsets = _CHARSET.findall(content_type)
    return "*" not in content_type and all(charset.lower() in _UTF_8 for charset in charsets)
