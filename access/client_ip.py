"""The IP address of a client, behind trusted proxies."""

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from django.conf import settings
from django.http import HttpRequest

_IPV6_PREFIX: Final = 64
"""One customer of an internet provider has a whole IPv6 network of this size."""


def client_address(request: HttpRequest) -> str | None:
    """Return the address that the outermost of our proxies saw.

    Each proxy appends one address to X-Forwarded-For. Entries further left come from the client
    and are not trusted. An entry that is not an address is ignored.
    """
    direct = request.META.get("REMOTE_ADDR")
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    if not 0 < settings.PROXIES <= len(forwarded):
        return direct
    try:
        return str(ip_address(forwarded[-settings.PROXIES].strip()))
    except ValueError:
        return direct


def client_key_address(request: HttpRequest) -> str | None:
    """Return ``client_key`` as an address: for an IPv6 network, its first address."""
    found = client_key(request)
    return found.partition("/")[0] or None


def client_key(request: HttpRequest) -> str:
    """Return the key that anonymous requests are counted by: an IPv4 address or an IPv6 /64 network."""
    found = client_address(request) or ""
    try:
        address = ip_address(found)
    except ValueError:
        return found  # for example a Unix socket
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ip_network((address, _IPV6_PREFIX), strict=False))
