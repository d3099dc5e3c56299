"""Where a request came from, whatever it says of itself."""

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from django.conf import settings
from django.http import HttpRequest

_IPV6_OF_ONE_SUBSCRIBER: Final = 64


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


def subscriber_address(request: HttpRequest) -> str | None:
    """Return ``subscriber`` as an address, for what knows no networks: the first one of its network."""
    found = subscriber(request)
    return found.partition("/")[0] or None


def subscriber(request: HttpRequest) -> str:
    """Return whom to count a stranger's request for: an address, or with IPv6 its network.

    Whoever has one IPv6 address has as many as there are in 64 bits.
    """
    found = client_address(request) or ""
    try:
        address = ip_address(found)
    except ValueError:
        return found  # a socket in the file system, say
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ip_network((address, _IPV6_OF_ONE_SUBSCRIBER), strict=False))
