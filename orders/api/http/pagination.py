"""Keyset pagination: signed cursors, and links to the pages before and after.

REST framework's CursorPagination orders by one column, skips equal values by OFFSET, and accepts
forged cursors.
"""

from collections.abc import Mapping
from typing import Any

from django.core.signing import BadSignature, Signer
from rest_framework.request import Request

from orders.api.http.query_params import invalid_query, parameter_error


class CursorSigner:
    """Writes and reads the cursors of one list. A cursor of another list is refused."""

    def __init__(self, list_name: str) -> None:
        self._signer = Signer(salt=f"orders.api.pagination:{list_name}")

    def write(self, position: Any) -> str:
        """Return a cursor for a position, which must be JSON."""
        return self._signer.sign_object(position)

    def read(self, cursor: str) -> Any:
        """Return the position. Raises a Problem for a cursor that this list did not sign."""
        try:
            return self._signer.unsign_object(cursor)
        except BadSignature:
            error = parameter_error("cursor", "Not a cursor of this list with these filters")
            raise invalid_query([error]) from None


def page_url(request: Request, cursor: str) -> str:
    """Return the address of the page at a cursor, with this request's other parameters."""
    query = request.query_params.copy()
    query["cursor"] = cursor
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


def link_header(pages: Mapping[str, str | None]) -> dict[str, str]:
    """Return a Link header (RFC 8288) for the pages that exist, by relation."""
    links = [f'<{url}>; rel="{relation}"' for relation, url in pages.items() if url]
    return {"Link": ", ".join(links)}
