"""Limits on wrong passwords and codes at the desk's login.

Three limits, each on the failures of the last 15 minutes: 5 for one username from one address (axes'
own), 20 from one address, and 50 for one username. The last two skip browsers that have already
logged in with both factors, so that an attacker cannot lock staff out of their own browser.
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

MAX_PER_ADDRESS: Final = 20
MAX_PER_USERNAME: Final = 50

TRUST_SECONDS: Final = 90 * 24 * 60 * 60
_COOKIE: Final = "desk-known"
_SALT: Final = "desk.login_throttle"


class LoginLimiter(AxesDatabaseHandler):  # type: ignore[misc]  # axes has no types
    """Axes' handler, with a limit per address and one per username."""

    def is_locked(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        if super().is_locked(request, credentials):
            return True
        name = get_client_username(request, credentials)
        if _is_trusted(request, name):
            return False
        address = request.axes_ip_address  # type: ignore[attr-defined]  # set by axes
        return (
            _failed_attempts(ip_address=address) >= MAX_PER_ADDRESS
            or _failed_attempts(username=name) >= MAX_PER_USERNAME
        )


def trust_browser(response: HttpResponse, user: User) -> None:
    """Mark the browser as one in which ``user`` has logged in, by a signed cookie."""
    response.set_cookie(
        _COOKIE,
        signing.dumps(user.get_username(), salt=_SALT),
        max_age=TRUST_SECONDS,
        path="/admin/",
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )


def _is_trusted(request: HttpRequest, name: str | None) -> bool:
    try:
        known = signing.loads(request.COOKIES.get(_COOKIE, ""), salt=_SALT, max_age=TRUST_SECONDS)
    except signing.BadSignature:
        return False
    return bool(known == name)


def _failed_attempts(**where: Any) -> int:
    since = timezone.now() - get_cool_off()
    counted = AccessAttempt.objects.filter(**where, attempt_time__gte=since)
    return int(counted.aggregate(all=Sum("failures_since_start"))["all"] or 0)
