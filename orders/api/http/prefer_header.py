"""The ``Prefer`` header (RFC 7240), for which neither Django nor REST framework has a parser."""

import re
from typing import Final

from rest_framework.request import Request

MAX_WAIT_SECONDS: Final = 10

# RFC 7240, section 2: preferences between commas, each with a value and, after semicolons,
# parameters of its own. A value is a token or a quoted string.
_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - grammar, not a secret
_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_ELEMENT: Final = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*(?:"|\\?\Z))+')
_PREFERENCE: Final = re.compile(
    rf"[ \t]*({_TOKEN})(?:[ \t]*=[ \t]*({_TOKEN}|{_QUOTED}))?[ \t]*(?:;.*)?", re.DOTALL
)
_SECONDS: Final = re.compile(r'"?([0-9]+)"?')


def seconds_to_wait(request: Request) -> int:
    """Return the seconds of ``Prefer: wait=N``, at most ``MAX_WAIT_SECONDS``; 0 without it.

    The first ``wait`` counts. Malformed preferences are ignored, as the RFC requires.
    """
    for element in _ELEMENT.findall(request.headers.get("Prefer", "")):
        preference = _PREFERENCE.fullmatch(element)
        if preference and preference[1].lower() == "wait":
            seconds = _SECONDS.fullmatch(preference[2] or "")
            # Six digits are more than the limit, and int() refuses thousands of them.
            digits = seconds[1].lstrip("0")[:6] if seconds else ""
            return min(int(digits or "0"), MAX_WAIT_SECONDS)
    return 0
