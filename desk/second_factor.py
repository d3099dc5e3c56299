"""The second factor of the desk: a code from an authenticator app, or a recovery code."""

from base64 import b32encode
from typing import Any, Final

import django_otp
import segno
from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_client_ip_address, get_lockout_response
from axes.utils import reset
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_login_failed
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from desk import login_throttle, sessions

APP: Final = "Authenticator app"
RECOVERY_CODES: Final = 10
REFUSED: Final = "The code is wrong or was used before. Wait for the next code and try again."


def is_verified(request: HttpRequest) -> bool:
    return getattr(request.user, "otp_device", None) is not None


def verify(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Ask for a code, and log staff in with it.

    Each code works once. After a wrong code the device accepts no code for some seconds.
    """
    user = _staff(request)
    if is_verified(request):
        return HttpResponseRedirect(_next(request))
    if not _apps(user).exists():
        return HttpResponseRedirect(reverse("admin:enrol"))
    error = ""
    if request.method == "POST":
        if _is_locked_out(request, user):
            return _locked_out(request, user)
        if device := _matching(user, _code(request)):
            _complete_login(request, user, device)
            response = HttpResponseRedirect(_next(request))
            login_throttle.trust_browser(response, user)
            return response
        error = _refuse(request, user)
    return TemplateResponse(
        request,
        "desk/second_factor.html",
        context | {"title": "Second factor", "error": error, "next": _next(request)},
    )


def enrol(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Show a key as a QR code. A correct code makes this app the only second factor.

    Staff who already have an app must be verified by it: a password alone replaces no app.
    """
    user = _staff(request)
    if _apps(user).exists() and not is_verified(request):
        return HttpResponseRedirect(reverse("admin:second_factor"))
    device = TOTPDevice.objects.filter(user=user, confirmed=False).first()
    device = device or TOTPDevice.objects.create(user=user, confirmed=False, name=APP)
    context |= {"title": "Set up your second factor"}
    error = ""
    if request.method == "POST":
        if _is_locked_out(request, user):
            return _locked_out(request, user)
        if codes := _confirm(user, device, _code(request)):
            _complete_login(request, user, device)
            response = TemplateResponse(
                request, "desk/recovery_codes.html", context | {"codes": codes}
            )
            login_throttle.trust_browser(response, user)
            return response
        error = _refuse(request, user)
    key = b32encode(device.bin_key).decode()
    qr_code = segno.make(device.config_url, error="m").svg_inline(omitsize=True)
    return TemplateResponse(
        request, "desk/enrol.html", context | {"qr_code": qr_code, "key": key, "error": error}
    )


@transaction.atomic
def reset_factors(user: User, by: User) -> None:
    """Delete all second factors of ``user``. Their sessions need a new factor at once."""
    TOTPDevice.objects.filter(user=user).delete()
    StaticDevice.objects.filter(user=user).delete()
    LogEntry.objects.log_actions(by.pk, [user], CHANGE, "Second factor reset", single_object=True)


@transaction.atomic
def _confirm(user: User, device: TOTPDevice, code: str) -> list[str]:
    """Make ``device`` the only one and return new recovery codes. Returns [] if the code is wrong."""
    locked = TOTPDevice.objects.select_for_update().get(pk=device.pk)
    if not locked.verify_token(code):
        return []
    TOTPDevice.objects.filter(user=user).exclude(pk=locked.pk).delete()
    StaticDevice.objects.filter(user=user).delete()
    locked.confirmed = True
    locked.save(update_fields=["confirmed"])
    codes = [StaticToken.random_token() for _ in range(RECOVERY_CODES)]
    recovery = StaticDevice.objects.create(user=user, name="Recovery codes")
    StaticToken.objects.bulk_create(StaticToken(device=recovery, token=code) for code in codes)
    return codes


@transaction.atomic
def _matching(user: User, code: str) -> TOTPDevice | StaticDevice | None:
    """Return the device that accepts ``code``, which cannot be used again.

    Digits are tried with the app, other codes as recovery codes. So wrong codes of one kind do not
    slow down the other.
    """
    kind = TOTPDevice if code.isdecimal() else StaticDevice
    devices = kind.objects.select_for_update().filter(user=user, confirmed=True)
    return next((device for device in devices if device.verify_token(code)), None)


def _complete_login(request: HttpRequest, user: User, device: TOTPDevice | StaticDevice) -> None:
    django_otp.login(request, device)
    sessions.start(request)
    reset(ip=get_client_ip_address(request), username=user.get_username())


def _refuse(request: HttpRequest, user: User) -> str:
    """Count a wrong code like a wrong password; return the message for staff."""
    user_login_failed.send(__name__, credentials=_credentials(user), request=request)
    return REFUSED


def _is_locked_out(request: HttpRequest, user: User) -> bool:
    return not AxesProxyHandler.is_allowed(request, _credentials(user))


def _locked_out(request: HttpRequest, user: User) -> HttpResponse:
    response: HttpResponse = get_lockout_response(request, credentials=_credentials(user))
    return response


def _credentials(user: User) -> dict[str, str]:
    return {"username": user.get_username()}


def _apps(user: User) -> Any:
    return TOTPDevice.objects.filter(user=user, confirmed=True)


def _staff(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 - the site requires a login
    return request.user


def _code(request: HttpRequest) -> str:
    return request.POST.get("code", "").replace(" ", "").replace("-", "").lower()


def _next(request: HttpRequest) -> str:
    wanted = request.POST.get("next") or request.GET.get("next", "")
    if url_has_allowed_host_and_scheme(wanted, {request.get_host()}, request.is_secure()):
        return wanted
    return reverse("admin:index")
