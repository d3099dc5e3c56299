"""How long a session at the desk lasts: half an hour without a request, half a day at most."""

import time
from collections.abc import Callable
from typing import Any, Final

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse

IDLE_LIMIT: Final = 30 * 60
ABSOLUTE_LIMIT: Final = 12 * 60 * 60
# A request is noted at most this often: reading the desk writes hardly ever.
GRANULARITY: Final = 60

_BEGAN: Final = "desk.began"
_SEEN: Final = "desk.seen"

View = Callable[..., HttpResponse]


def in_background(view: View) -> View:
    """Mark a view that pages ask by themselves: it does not keep a session alive."""
    view.in_background = True  # type: ignore[attr-defined]
    return view


def begin(request: HttpRequest) -> None:
    """Start counting anew, under a new key: who knew the old one knows nothing now."""
    request.session.cycle_key()
    request.session[_BEGAN] = request.session[_SEEN] = int(time.time())


class SessionLimits:
    """Ends a session that is too old, or that nobody has used, before its request is answered."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, view: View, *_: Any) -> None:
        """Runs before the view, which then finds nobody logged in."""
        if request.session.is_empty():  # as for all who come with a token
            return
        now = int(time.time())
        began, seen = request.session.get(_BEGAN, now), request.session.get(_SEEN, now)
        if now - seen >= IDLE_LIMIT or now - began >= ABSOLUTE_LIMIT:
            logout(request)
        elif _BEGAN not in request.session or (
            now - seen >= GRANULARITY and not getattr(view, "in_background", False)
        ):
            request.session[_BEGAN], request.session[_SEEN] = began, now
