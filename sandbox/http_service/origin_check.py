"""Who may use the controls: this machine's own programs and pages, and no page from elsewhere.

A browser on this machine runs pages of strangers, and reaches the loopback interface for them. A
page can send a form anywhere, so ``Origin`` is compared; and its own name may be made to lead here
(DNS rebinding), so ``Host`` must be one that only this machine has.
"""

from collections.abc import Mapping
from typing import Final

OUR_NAMES: Final = frozenset({"127.0.0.1", "localhost"})
OF_OUR_PAGES: Final = frozenset({"same-origin", "none"})  # "none": typed in by a person


def refusal(method: str, headers: Mapping[str, str]) -> str:
    """Say why a request is refused; nothing if it is not."""
    host = headers.get("host", "")
    if host.rpartition(":")[0] not in OUR_NAMES and host not in OUR_NAMES:
        return "this host is not ours"
    if method in {"GET", "HEAD"}:
        return ""
    if headers.get("origin", f"http://{host}") != f"http://{host}":
        return "sent by a page from elsewhere"
    if headers.get("sec-fetch-site", "same-origin") not in OF_OUR_PAGES:
        return "sent by a page from elsewhere"
    return ""
