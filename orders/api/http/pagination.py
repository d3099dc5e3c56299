"""What lists have in common: each page names its neighbours, by cursors that we alone can write."""

from collections.abc import Mapping
from typing import Any

from django.core.signing import BadSignature, Signer
from rest_framework.request import Request

from orders.api.http.query_params import invalid_query, parameter_error


class Cursors:
    """Writes and reads the cursors of one list, which are signed, and good for that list alone."""

    def __init__(self, of_what: str) -> None:
        self._signer = Signer(salt=f"orders.api.http.pagination:{of_what}")

    def write(self, position: Any) -> str:
        """Return a cursor for a position, which is anything that JSON can say."""
        return self._signer.sign_object(position)

    def read(self, cursor: str) -> Any:
        """Return the position. Raises a Problem for what was not written for this list."""
        try:
            return self._signer.unsign_object(cursor)
        except BadSignature:
            wrong = parameter_error("cursor", "Not one that this list gave out with these filters")
            raise invalid_query([wrong]) from None


def url_of(request: Request, cursor: str) -> str:
    """Return where the page of a cursor is, with all that this request asks for besides."""
    query = request.query_params.copy()
    query["cursor"] = cursor
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


def link_header(neighbours: Mapping[str, str | None]) -> dict[str, str]:
    """Name the pages that there are by their relations (RFC 8288)."""
    links = [f'<{url}>; rel="{relation}"' for relation, url in neighbours.items() if url]
    return {"Link": ", ".join(links)}
