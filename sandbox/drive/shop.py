"""The storefront's public API, as a patient customer uses it."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import urllib3

from sandbox.drive.deadlines import Patience

ORDER_SECONDS: Final = 180
ENDED: Final = frozenset({"confirmed", "cancelled"})
CANCELLED: Final = frozenset({"cancelled"})

# The same request can be sent again under its key without ordering twice: after no answer at all,
# an overload, or while its twin is still being answered.
_ASK_AGAIN: Final = frozenset({409, 429, 500, 502, 503, 504})
_ACCEPTED: Final = frozenset({200, 201, 202})


class ShopRefused(Exception):
    """The API's answer was no, or none came in time."""


class NotEnded(Exception):
    """An order was still on its way when the time was up."""

    def __init__(self, order_id: str, status: str) -> None:
        super().__init__(f"order {order_id} is still {status} after {ORDER_SECONDS} s")


class Cart(NamedTuple):
    items: tuple[tuple[str, int], ...]  # SKU and quantity
    payment_method: str


class Product(NamedTuple):
    price_minor: int
    available: int


class Order(NamedTuple):
    id: str
    status: str
    reason: str
    total_minor: int
    sold: Mapping[str, int]  # quantity by SKU
    reason_words: str = ""
    is_taken: bool = False  # its money has been taken, and nothing of it given back
    took: float = 0.0  # seconds from when it was accepted to its last move, by the shop's clock

    @property
    def outcome(self) -> str:
        """Return how it stands, with the reason if there is one."""
        return f"{self.status}: {self.reason}" if self.reason else self.status


class Shop:
    """One customer. Safe to use from many threads. ``seen`` is told of every order looked at."""

    def __init__(
        self,
        base_url: str,
        token: str,
        patience: Patience,
        *,
        seen: Callable[[Order], None] = lambda _: None,
    ) -> None:
        self._patience = patience
        self._seen = seen
        self._api = f"{base_url}/api/v1"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._http = urllib3.PoolManager(maxsize=64, block=True, retries=False)

    def products(self) -> dict[str, Product]:
        return {
            row["sku"]: Product(row["price_minor"], row["available"])
            for row in self._listed("products")
        }

    def place(self, cart: Cart, *, key: str) -> Order:
        """Order a cart, once per key however often it is asked."""
        body = {
            "items": [{"sku": sku, "quantity": quantity} for sku, quantity in cart.items],
            "payment_method": cart.payment_method,
        }
        return _order(self._ask("POST", "orders", key=key, body=body))

    def cancel(self, order_id: str) -> None:
        self._ask("POST", f"orders/{order_id}/cancel", key=new_key(), body={})

    def look(self, order_id: str) -> Order:
        order = _order(self._ask("GET", f"orders/{order_id}"))
        self._seen(order)
        return order

    def unfinished(self) -> list[Order]:
        """Return this customer's orders that are still under way."""
        unfinished = "orders?status=placed,cancelling&expand=items&page_size=100"
        return [_order(row) for row in self._listed(unfinished)]

    def _listed(self, page: str) -> Iterator[dict[str, Any]]:
        """Read a list to its end, page by page."""
        path, following = page.partition("?")[0], page
        while following:
            listed = self._ask("GET", following)
            yield from listed["results"]
            following = listed["next"] and f"{path}?{listed['next'].partition('?')[2]}"

    def timeline(self, order_id: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self._ask("GET", f"orders/{order_id}/timeline")["entries"]
        return entries

    def wait_for_end(self, order_id: str, among: frozenset[str] = ENDED) -> Order:
        """Look, ever less often, until the order has one of the statuses. Raises NotEnded."""
        return self._wait_until(order_id, lambda order: order.status in among)

    def wait_until_taken(self, order_id: str) -> Order:
        """Look until the order's money has been taken, not only set aside. Raises NotEnded."""
        return self._wait_until(order_id, lambda order: order.is_taken)

    def _wait_until(self, order_id: str, is_there: Callable[[Order], bool]) -> Order:
        status = "unknown"
        for _ in self._patience.tries(ORDER_SECONDS, pause=0.2, longest=1):
            order = self.look(order_id)
            status = order.status
            if is_there(order):
                return order
        raise NotEnded(order_id, status)

    def _ask(
        self, method: str, path: str, *, key: str | None = None, body: object = None
    ) -> dict[str, Any]:
        headers = self._headers if key is None else {**self._headers, "Idempotency-Key": key}
        refusal = "no answer"
        for _ in self._patience.tries(ORDER_SECONDS, pause=0.2, longest=1):
            try:
                answer = self._http.request(
                    method, f"{self._api}/{path}", headers=headers, json=body, timeout=30
                )
            except urllib3.exceptions.HTTPError as error:
                refusal = str(error)
                continue
            if answer.status in _ACCEPTED:
                content: dict[str, Any] = answer.json()
                return content
            refusal = f"{answer.status} {answer.data.decode()[:300]}"
            if answer.status not in _ASK_AGAIN:
                break
        raise ShopRefused(f"{method} {path}: {refusal}")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def new_key() -> str:
    return str(uuid.uuid4())


def _order(row: Mapping[str, Any]) -> Order:
    return Order(
        id=row["id"],
        status=row["status"],
        reason=row["reason_code"],
        total_minor=row["total_minor"],
        sold={item["sku"]: item["quantity"] for item in row["items"]},
        reason_words=row["reason"],
        is_taken=row["payment"]["status"] == "captured",
        took=(_moment(row["updated_at"]) - _moment(row["created_at"])).total_seconds(),
    )
