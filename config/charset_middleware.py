"""Bodies in other charsets than UTF-8, which are taken for mere bytes."""

import re
from collections.abc import Iterable
from typing import Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_CHARSET: Final = re.compile(r"charset\s*=\s*\"?([^\";,\s]*)", re.IGNORECASE)
_UTF_8: Final = ("utf-8", "utf8", "us-ascii")


def only_utf8(application: WSGIApplication) -> WSGIApplication:
    """Let Django see no charset but UTF-8, and no parameter that has a charset of its own.

    It decodes the query by the charset that the body is said to have, before any code of ours runs
    that could refuse it; the name of a codec that is none of text (hex, zip) ends in a 500. As mere
    bytes such a body is refused by whoever would read it.
    """

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not _is_readable(environ.get("CONTENT_TYPE", "")):
            environ["CONTENT_TYPE"] = "application/octet-stream"
        return application(environ, start_response)

    return answer


def _is_readable(content_type: str) -> bool:
    """Whether all its charsets are UTF-8; an asterisk gives a parameter one (RFC 8187)."""
    charsets = _CHARSET.findall(content_type)
    return "*" not in content_type and all(each.lower() in _UTF_8 for each in charsets)
