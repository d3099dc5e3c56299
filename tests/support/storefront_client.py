"""The API as one customer uses it: a real token, and requests through all middleware.

Requests stay in this process. For a running server, see ``http_storefront``; for orders without the
API, see ``shop``.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth.models import User
from django.http import HttpResponseBase, StreamingHttpResponse
from django.test import Client

from access.credentials import Scope
from access.models import ApiToken

ORDERS = "/api/v1/orders"
PROBLEM = "application/problem+json"


class ApiResponse:
    """A response of the API."""

    def __init__(self, response: HttpResponseBase) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.raw: bytes = response.content  # type: ignore[attr-defined]  # never streamed
        self.body: Any = json.loads(self.raw) if self.raw else None

    @property
    def order_id(self) -> UUID:
        return UUID(self.body["id"])

    @property
    def is_replayed(self) -> bool:
        return self.headers.get("Idempotency-Replayed") == "true"

    def is_problem(self, status: int, slug: str) -> bool:
        """Return whether the response is this problem, in the form of RFC 9457."""
        return (self.status, self.headers["Content-Type"], self.body["type"]) == (
            status,
            PROBLEM,
            f"/problems/{slug}",
        ) and self.body["status"] == status

    @property
    def comparable(self) -> tuple[int, dict[str, Any]]:
        """The status, and the body without the correlation id, which differs for each request."""
        body = {name: value for name, value in self.body.items() if name != "correlation_id"}
        return self.status, body

    @property
    def parameters(self) -> list[str]:
        """The query parameters that the problem's ``errors`` name."""
        return [error["parameter"] for error in self.body.get("errors", [])]

    @property
    def pointers(self) -> list[str]:
        """The fields that the problem's ``errors`` point to."""
        return [error["pointer"] for error in self.body.get("errors", [])]


class Storefront:
    """Sends requests of one customer, each with a new Idempotency-Key unless one is given.

    An exception of a view fails the test; it does not become a 500.
    """

    def __init__(self, customer: User, scopes: Iterable[Scope] = (Scope.READ, Scope.WRITE)) -> None:
        self.customer = customer
        self.token = ApiToken.objects.issue(customer, scopes=scopes)[1]
        self._client = Client(raise_request_exception=True)

    def send(
        self,
        method: str,
        path: str,
        body: object = b"",
        headers: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> ApiResponse:
        """Send one request. A header with an empty value is not sent."""
        given = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return ApiResponse(
            self._client.generic(
                method,
                path,
                raw,
                content_type=content_type,
                headers={name: value for name, value in given.items() if value},
            )
        )

    def get(self, path: str) -> ApiResponse:
        return self.send("GET", path)

    def open_stream(self, path: str, **headers: str) -> StreamingHttpResponse:
        """Open a stream as a browser does. The test closes it."""
        authorization = {"Authorization": f"Bearer {self.token}", "Accept": "text/event-stream"}
        given = {name: value for name, value in (authorization | headers).items() if value}
        response: Any = self._client.get(path, headers=given)
        assert isinstance(response, StreamingHttpResponse)
        return response

    def order(self, body: object, key: str | None = None, **headers: str) -> ApiResponse:
        """Place an order; ``cart`` makes its body."""
        keyed = {"Idempotency-Key": key or uuid4().hex, **headers}
        return self.send("POST", ORDERS, body, keyed)

    def cancel(self, order_id: object, key: str | None = None, **headers: str) -> ApiResponse:
        keyed = {"Idempotency-Key": key or uuid4().hex, **headers}
        return self.send("POST", f"{ORDERS}/{order_id}/cancel", b"", keyed)


def cart(*items: tuple[str, int], payment_method: str = "pm_card_visa") -> dict[str, Any]:
    """Return the body of an order of ``items``, which are pairs of SKU and quantity."""
    return {
        "items": [{"sku": sku, "quantity": quantity} for sku, quantity in items],
        "payment_method": payment_method,
    }
