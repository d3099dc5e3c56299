"""Protects the controls from web pages of other sites, which a browser on this machine may show.

Such a page can send a form to the loopback interface, so ``Origin`` is checked. Its host name can
resolve to 127.0.0.1 (DNS rebinding), so ``Host`` must be a name of this machine.
"""

from collections.abc import Mapping
from typing import Final

ALLOWED_HOSTS: Final = frozenset({"127.0.0.1", "localhost"})
ALLOWED_FETCH_SITES: Final = frozenset(
    {"same-origin", "none"}
)  # "none": the user typed the address


def rejection_reason(method: str, headers: Mapping[str, str]) -> str:
    """Return why a request is rejected; an empty text if it is allowed."""
    host = headers.get("host", "")
    if host.rpartition(":")[0] not in ALLOWED_HOSTS and host not in ALLOWED_HOSTS:
        return "this host name is not allowed"
    if method in {"GET", "HEAD"}:
        return ""
    if headers.get("origin", f"http://{host}") != f"http://{host}":
        return "sent by a page of another site"
    if headers.get("sec-fetch-site", "same-origin") not in ALLOWED_FETCH_SITES:
        return "sent by a page of another site"
    return ""
