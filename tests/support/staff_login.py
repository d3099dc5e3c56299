"""Staff at the desk's door, with and without what it asks for."""

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
    ContentType.objects.clear_cache()  # it outlives the rows, which are flushed after each test
    return User.objects.create_superuser(name, password=PASSWORD)


def app_of(user: User, *, confirmed: bool = True) -> TOTPDevice:
    return TOTPDevice.objects.create(user=user, name="app", confirmed=confirmed)


def code_of(app: TOTPDevice, *, periods_later: int = 0) -> str:
    return f"{totp(unhexlify(app.key), drift=periods_later):06d}"


def wrong_code(app: TOTPDevice) -> str:
    right = {code_of(app, periods_later=each) for each in range(-2, 3)}
    return next(code for code in ("000000", "111111", "222222", "3", "4", "5") if code not in right)


def show_password(
    client: Client, user: User, password: str = PASSWORD, **headers: str
) -> HttpResponseBase:
    return client.post(
        LOGIN, {"username": user.username, "password": password}, headers=headers or None
    )


def come_in(client: Client, user: User, app: TOTPDevice) -> None:
    assert show_password(client, user).status_code == 302
    answer = client.post(SECOND_FACTOR, {"code": code_of(app)})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")


def desk_paths() -> list[str]:
    """Every address below /admin/, with something in the place of each argument."""
    resolver = next(each for each in get_resolver().url_patterns if str(each.pattern) == "admin/")
    assert isinstance(resolver, URLResolver)
    return sorted({f"/admin/{path}" for path in _paths(resolver)})


def _paths(resolver: URLResolver) -> Iterator[str]:
    for each in resolver.url_patterns:
        if isinstance(each, URLResolver):
            yield from (f"{_filled(each)}{path}" for path in _paths(each))
        elif isinstance(each, URLPattern):
            yield _filled(each)


def _filled(each: URLPattern | URLResolver) -> str:
    """What the pattern would match; patterns that cannot be filled are a test's failure."""
    import re

    route = str(each.pattern)
    if route.startswith("^"):  # Django's own: an app's page, and what nobody serves
        return {"^(?P<app_label>": "orders/"}.get(route[:15], "no-such-page")
    return re.sub(r"<(?:\w+:)?(\w+)>", "1", route)
