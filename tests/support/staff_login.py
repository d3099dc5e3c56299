"""Staff who log in at the desk: with a password and a code, or without."""

import re
from binascii import unhexlify
from collections.abc import Iterator

from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.http import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice

PASSWORD = "correct horse battery"
LOGIN = "/admin/login/"
SECOND_FACTOR = "/admin/second-factor/"
ENROL = "/admin/second-factor/enrol/"


def superuser(name: str = "grace") -> User:
    ContentType.objects.clear_cache()  # the cache outlives the rows, which each test deletes
    return User.objects.create_superuser(name, password=PASSWORD)


def new_authenticator(user: User, *, confirmed: bool = True) -> TOTPDevice:
    """Create the user's authenticator app. An unconfirmed one cannot log in."""
    return TOTPDevice.objects.create(user=user, name="app", confirmed=confirmed)


def code_of(app: TOTPDevice, *, periods_later: int = 0) -> str:
    """Return the code that the app shows now, or so many periods of 30 s later."""
    return f"{totp(unhexlify(app.key), drift=periods_later):06d}"


def wrong_code(app: TOTPDevice) -> str:
    """Return a code that the app shows at no time near now."""
    right = {code_of(app, periods_later=later) for later in range(-2, 3)}
    return next(code for code in ("000000", "111111", "222222", "3", "4", "5") if code not in right)


def post_password(
    client: Client, user: User, password: str = PASSWORD, **headers: str
) -> HttpResponseBase:
    """Send name and password. Returns the response, a redirect when they are accepted."""
    return client.post(
        LOGIN, {"username": user.username, "password": password}, headers=headers or None
    )


def log_in(client: Client, user: User, app: TOTPDevice) -> None:
    """Log in with password and code."""
    assert post_password(client, user).status_code == 302
    response = client.post(SECOND_FACTOR, {"code": code_of(app)})
    assert (response.status_code, response.headers["Location"]) == (302, "/admin/")


def desk_paths() -> list[str]:
    """Return every path below /admin/, with an example in the place of each argument."""
    patterns = get_resolver().url_patterns
    resolver = next(pattern for pattern in patterns if str(pattern.pattern) == "admin/")
    assert isinstance(resolver, URLResolver)
    return sorted({f"/admin/{path}" for path in _paths(resolver)})


def _paths(resolver: URLResolver) -> Iterator[str]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from (f"{_filled(pattern)}{path}" for path in _paths(pattern))
        elif isinstance(pattern, URLPattern):
            yield _filled(pattern)


def _filled(pattern: URLPattern | URLResolver) -> str:
    """Return a path that the pattern matches."""
    route = str(pattern.pattern)
    if route.startswith("^"):  # Django's own patterns: an app's page, and unknown pages
        return {"^(?P<app_label>": "orders/"}.get(route[:15], "no-such-page")
    return re.sub(r"<(?:\w+:)?(\w+)>", "1", route)
