"""Limits on sessions at the desk: 30 minutes without a request, 12 hours in all."""

import time
from collections.abc import Callable
from typing import Any, Final

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse

IDLE_LIMIT: Final = 30 * 60
ABSOLUTE_LIMIT: Final = 12 * 60 * 60
# How often a request extends the session, so that reading pages writes rarely.
GRANULARITY: Final = 60

_BEGAN: Final = "desk.began"
_SEEN: Final = "desk.seen"

View = Callable[..., HttpResponse]


def in_background(view: View) -> View:
    """Mark a view that pages poll: its requests do not extend the session."""
    view.in_background = True  # type: ignore[attr-defined]
    return view


def start(request: HttpRequest) -> None:
    """Start the limits of a login under a new session key, so that the old key is useless."""
    request.session.cycle_key()
    request.session[_BEGAN] = request.session[_SEEN] = int(time.time())


class SessionLimits:
    """Logs out a session that is too old or was idle too long, before the view runs."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, view: View, *_: Any) -> None:
        """Log out if a limit is exceeded; the view then sees an anonymous user."""
        if request.session.is_empty():
            return
        now = int(time.time())
        began_at, seen_at = request.session.get(_BEGAN, now), request.session.get(_SEEN, now)
        if now - seen_at >= IDLE_LIMIT or now - began_at >= ABSOLUTE_LIMIT:
            logout(request)
        elif _BEGAN not in request.session or (
            now - seen_at >= GRANULARITY and not getattr(view, "in_background", False)
        ):
            request.session[_BEGAN], request.session[_SEEN] = began_at, now
