"""How often anybody may guess at the desk's door, whatever is guessed and from wherever.

Three limits, each on the wrong passwords and codes of the last quarter of an hour: five for one name
from one address (axes' own), some more from one address whatever the names, and more again for one
name from wherever. The last two are not for a browser in which that person came in before, through
both locks: whoever guesses on purpose cannot keep somebody out of their own browser.
"""

from typing import Any, Final

from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_client_username, get_cool_off
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

FROM_ONE_ADDRESS: Final = 20
AT_ONE_NAME: Final = 50

KNOWN_FOR_SECONDS: Final = 90 * 24 * 60 * 60
_COOKIE: Final = "desk-known"
_SALT: Final = "desk.login_throttle"


class LoginLimiter(AxesDatabaseHandler):  # type: ignore[misc]  # axes has no types
    """Axes' handler, with the limits that it does not have."""

    def is_locked(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        if super().is_locked(request, credentials):
            return True
        name = get_client_username(request, credentials)
        if _is_known(request, name):
            return False
        address = request.axes_ip_address  # type: ignore[attr-defined]  # axes put it there
        return (
            _wrong_guesses(ip_address=address) >= FROM_ONE_ADDRESS
            or _wrong_guesses(username=name) >= AT_ONE_NAME
        )


def remember(response: HttpResponse, user: User) -> None:
    """Let the browser be known as one in which ``user`` came in."""
    response.set_cookie(
        _COOKIE,
        signing.dumps(user.get_username(), salt=_SALT),
        max_age=KNOWN_FOR_SECONDS,
        path="/admin/",
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )


def _is_known(request: HttpRequest, name: str | None) -> bool:
    try:
        known = signing.loads(
            request.COOKIES.get(_COOKIE, ""), salt=_SALT, max_age=KNOWN_FOR_SECONDS
        )
    except signing.BadSignature:
        return False
    return bool(known == name)


def _wrong_guesses(**where: Any) -> int:
    since = timezone.now() - get_cool_off()
    counted = AccessAttempt.objects.filter(**where, attempt_time__gte=since)
    return int(counted.aggregate(all=Sum("failures_since_start"))["all"] or 0)
