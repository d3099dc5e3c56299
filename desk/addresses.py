"""Where a request came from, whatever it says of itself."""

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str | None:
    """Return the address that the outermost of our proxies saw.

    Each proxy adds one address to the end of X-Forwarded-For: what stands further left was sent by
    the client, and could be anything. What is no address came from no proxy.
    """
    direct = request.META.get("REMOTE_ADDR")
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    if not 0 < settings.PROXIES <= len(forwarded):
        return direct
    try:
        return str(ip_address(forwarded[-settings.PROXIES].strip()))
    except ValueError:
        return direct
