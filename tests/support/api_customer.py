"""A customer with nothing but the storefront's API."""

import uuid
from http import HTTPStatus
from typing import Any

import urllib3

from tests.support.waits import wait_until

ENDS = ("confirmed", "cancelled")


class Customer:
    """Safe to use from many threads."""

    def __init__(self, url: str, token: str) -> None:
        self._api = f"{url}/api/v1"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._http = urllib3.PoolManager(maxsize=16, retries=False, timeout=60)

    def place(
        self, payment_method: str = "pm_card_visa", *, mugs: int = 1, wait: int = 0
    ) -> dict[str, Any]:
        """Place an order, which must be accepted; with ``wait`` it may have ended by then."""
        answer = self._post(
            "orders",
            {"items": [{"sku": "MUG", "quantity": mugs}], "payment_method": payment_method},
            {"Prefer": f"wait={wait}"} if wait else {},
        )
        assert answer.status in (HTTPStatus.CREATED, HTTPStatus.ACCEPTED), answer.data
        order: dict[str, Any] = answer.json()
        has_ended = wait > 0 and order["status"] in ENDS
        assert answer.status == (HTTPStatus.CREATED if has_ended else HTTPStatus.ACCEPTED)
        assert answer.headers["Location"] == f"/api/v1/orders/{order['id']}"
        return order

    def cancel(self, order_id: str) -> None:
        answer = self._post(f"orders/{order_id}/cancel", {}, {})
        assert answer.status == HTTPStatus.ACCEPTED, answer.data

    def look(self, order_id: str) -> dict[str, Any]:
        answer = self._http.request("GET", f"{self._api}/orders/{order_id}", headers=self._headers)
        assert answer.status == HTTPStatus.OK, answer.data
        order: dict[str, Any] = answer.json()
        return order

    def wait_for_end(self, order_id: str, *, among: tuple[str, ...] = ENDS) -> dict[str, Any]:
        wait_until(lambda: self.look(order_id)["status"] in among)
        return self.look(order_id)

    def _post(
        self, path: str, body: dict[str, Any], headers: dict[str, str]
    ) -> urllib3.BaseHTTPResponse:
        return self._http.request(
            "POST",
            f"{self._api}/{path}",
            json=body,
            headers={**self._headers, **headers, "Idempotency-Key": str(uuid.uuid4())},
        )
