"""The API of a running installation, as one customer uses it over HTTP.

Requests inside this process, without a server, are in ``storefront_client``.
"""

import uuid
from http import HTTPStatus
from typing import Any

import urllib3

from tests.support.waits import wait_until

ENDS = ("confirmed", "cancelled")


class HttpStorefront:
    """Sends requests of one customer. Threads may share it."""

    def __init__(self, url: str, token: str) -> None:
        self._api = f"{url}/api/v1"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._http = urllib3.PoolManager(maxsize=16, retries=False, timeout=60)

    def place(
        self, payment_method: str = "pm_card_visa", *, mugs: int = 1, wait: int = 0
    ) -> dict[str, Any]:
        """Place an order, which must be accepted. Returns it as the API shows it.

        ``wait`` is how many seconds the response may wait for the order to end.
        """
        response = self._post(
            "orders",
            {"items": [{"sku": "MUG", "quantity": mugs}], "payment_method": payment_method},
            {"Prefer": f"wait={wait}"} if wait else {},
        )
        assert response.status in (HTTPStatus.CREATED, HTTPStatus.ACCEPTED), response.data
        order: dict[str, Any] = response.json()
        has_ended = wait > 0 and order["status"] in ENDS
        assert response.status == (HTTPStatus.CREATED if has_ended else HTTPStatus.ACCEPTED)
        assert response.headers["Location"] == f"/api/v1/orders/{order['id']}"
        return order

    def cancel(self, order_id: str) -> None:
        """Ask for a cancellation, which must be accepted."""
        response = self._post(f"orders/{order_id}/cancel", {}, {})
        assert response.status == HTTPStatus.ACCEPTED, response.data

    def get(self, order_id: str) -> dict[str, Any]:
        response = self._http.request(
            "GET", f"{self._api}/orders/{order_id}", headers=self._headers
        )
        assert response.status == HTTPStatus.OK, response.data
        order: dict[str, Any] = response.json()
        return order

    def wait_for_end(self, order_id: str, *, among: tuple[str, ...] = ENDS) -> dict[str, Any]:
        """Wait until the order has one of these statuses. Returns the order."""
        wait_until(lambda: self.get(order_id)["status"] in among)
        return self.get(order_id)

    def _post(
        self, path: str, body: dict[str, Any], headers: dict[str, str]
    ) -> urllib3.BaseHTTPResponse:
        return self._http.request(
            "POST",
            f"{self._api}/{path}",
            json=body,
            headers={**self._headers, **headers, "Idempotency-Key": str(uuid.uuid4())},
        )
