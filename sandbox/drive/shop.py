"""The storefront's public API, as a patient customer uses it: requests are repeated until they succeed."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from sandbox.drive.api_client import ApiClient
from sandbox.drive.deadlines import StopSignal

ORDER_SECONDS: Final = 180
ENDED: Final = frozenset({"confirmed", "cancelled"})
CANCELLED: Final = frozenset({"cancelled"})
ANOTHER_PAYMENT: Final = "another_payment_needed"
AUTHENTICATION: Final = "authentication_required"
REVIEW: Final = "await_review"
"""What an order waits for: the code of its ``waiting_for``."""


class NotEnded(Exception):
    """An order was still under way when the time was up."""

    def __init__(self, order_id: str, status: str) -> None:
        super().__init__(f"order {order_id} is still {status} after {ORDER_SECONDS} s")


class Cart(NamedTuple):
    items: tuple[tuple[str, int], ...]  # SKU and quantity
    payment_method: str


class ShopProduct(NamedTuple):
    price_minor: int
    available: int


class ShopOrder(NamedTuple):
    id: str
    status: str
    reason: str
    total_minor: int
    currency: str
    quantities: Mapping[str, int]  # by SKU
    reason_text: str = ""
    is_captured: bool = False  # captured, and nothing refunded
    seconds: float = 0.0  # from its acceptance to its last change, by the shop's clock
    waits_for: str = ""  # the code of its wait; empty while it does not wait
    intent_to_authenticate: str = ""  # the id of a PaymentIntent that waits for the customer

    @property
    def outcome(self) -> str:
        """Return the status, with the reason if there is one."""
        return f"{self.status}: {self.reason}" if self.reason else self.status


class Shop:
    """One customer. Safe to use from many threads. Calls ``on_order`` with every order that it reads."""

    def __init__(
        self,
        base_url: str,
        token: str,
        stop_signal: StopSignal,
        *,
        on_order: Callable[[ShopOrder], None] = lambda _: None,
    ) -> None:
        self._stop_signal = stop_signal
        self._on_order = on_order
        self._api = ApiClient(base_url, token, stop_signal)

    def products(self) -> dict[str, ShopProduct]:
        return {
            row["sku"]: ShopProduct(row["price_minor"], row["available"])
            for row in self._listed("products")
        }

    def place(self, cart: Cart, *, key: str) -> ShopOrder:
        """Order a cart. Repeated calls with one key return the same order."""
        body = {
            "items": [{"sku": sku, "quantity": quantity} for sku, quantity in cart.items],
            "payment_method": cart.payment_method,
        }
        return _order(self._api.request("POST", "orders", key=key, body=body))

    def cancel(self, order_id: str) -> None:
        self._api.request("POST", f"orders/{order_id}/cancel", key=new_key(), body={})

    def pay(self, order_id: str, payment_method: str) -> None:
        """Pay an order, which waits for its customer, by another payment method."""
        body = {"payment_method": payment_method}
        self._api.request("POST", f"orders/{order_id}/payments", key=new_key(), body=body)

    def check_payment(self, order_id: str) -> None:
        """Say that the customer is back from their bank: the payment is looked at once."""
        self._api.request("POST", f"orders/{order_id}/payments/check", body={})

    def get_order(self, order_id: str) -> ShopOrder:
        order = _order(self._api.request("GET", f"orders/{order_id}"))
        self._on_order(order)
        return order

    def unfinished(self) -> list[ShopOrder]:
        """Return this customer's orders that are still under way."""
        unfinished = "orders?status=placed,cancelling&expand=items&page_size=100"
        return [_order(row) for row in self._listed(unfinished)]

    def _listed(self, page: str) -> Iterator[dict[str, Any]]:
        """Yield every item of a list, page by page."""
        path, following = page.partition("?")[0], page
        while following:
            listed = self._api.request("GET", following)
            yield from listed["results"]
            following = listed["next"] and f"{path}?{listed['next'].partition('?')[2]}"

    def timeline(self, order_id: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self._api.request("GET", f"orders/{order_id}/timeline")[
            "entries"
        ]
        return entries

    def wait_for_end(self, order_id: str, among: frozenset[str] = ENDED) -> ShopOrder:
        """Poll until the order has one of the statuses. Raises NotEnded."""
        return self._wait_until(order_id, lambda order: order.status in among)

    def wait_until_captured(self, order_id: str) -> ShopOrder:
        """Poll until the order's payment is captured. Raises NotEnded."""
        return self._wait_until(order_id, lambda order: order.is_captured)

    def wait_until_it_waits(self, order_id: str, code: str) -> ShopOrder:
        """Poll until the order waits for this, or has ended. Raises NotEnded."""
        return self._wait_until(
            order_id, lambda order: order.waits_for == code or order.status in ENDED
        )

    def _wait_until(self, order_id: str, is_reached: Callable[[ShopOrder], bool]) -> ShopOrder:
        status = "unknown"
        for _ in self._stop_signal.attempts(ORDER_SECONDS, pause=0.2, longest=1):
            order = self.get_order(order_id)
            status = order.status
            if is_reached(order):
                return order
        raise NotEnded(order_id, status)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def new_key() -> str:
    return str(uuid.uuid4())


def _order(row: Mapping[str, Any]) -> ShopOrder:
    waiting_for, next_action = row.get("waiting_for") or {}, row.get("next_action") or {}
    return ShopOrder(
        id=row["id"],
        status=row["status"],
        reason=row["reason_code"],
        total_minor=row["total_minor"],
        currency=row["currency"],
        quantities={item["sku"]: item["quantity"] for item in row["items"]},
        reason_text=row["reason"],
        is_captured=row["payment"]["status"] == "captured",
        seconds=(_moment(row["updated_at"]) - _moment(row["created_at"])).total_seconds(),
        waits_for=waiting_for.get("code", ""),
        # Stripe's client secret begins with the id of its PaymentIntent.
        intent_to_authenticate=next_action.get("client_secret", "").partition("_secret_")[0],
    )
