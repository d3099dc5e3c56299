"""One order as it looks on its way, and what else answers look like; typed as the answers are."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from orders.api.http.response_schemas import (
    Link,
    OrderLine,
    OrderLinks,
    PaymentSummary,
    Product,
    ProductPage,
    ProgressEvent,
    Quote,
    QuotedLine,
    Timeline,
    TimelineEntry,
    still_allowed,
)
from orders.api.http.response_schemas import Order as ShownOrder
from orders.states import OrderStatus

_ID: Final = "019aa3c0-5d2e-7c4a-9a53-7f0c7a1e6b11"
_PATH: Final = f"/api/v1/orders/{_ID}"
_PLACED_AT: Final = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
_ITEMS: Final = (
    OrderLine(sku="MUG-BLUE", name="Mug, blue", quantity=2, unit_price_minor=1290),
    OrderLine(sku="TEE-M", name="T-shirt, medium", quantity=1, unit_price_minor=2490),
)
_TOTAL: Final = sum(each.quantity * each.unit_price_minor for each in _ITEMS)

CART: Final = {
    "items": [{"sku": each.sku, "quantity": each.quantity} for each in _ITEMS],
    "payment_method": "pm_card_visa",
}


def _after(seconds: float) -> datetime:
    return _PLACED_AT + timedelta(seconds=seconds)


def _order(
    status: OrderStatus,
    version: int,
    payment: PaymentSummary,
    *,
    reason: str = "",
    reason_code: str = "",
    updated_after: float = 0,
    asked_after: float | None = None,
) -> dict[str, Any]:
    is_cancel_requested = asked_after is not None
    allowed = still_allowed(status, is_cancel_requested=is_cancel_requested)
    can_cancel = OrderStatus.CANCELLING in allowed and not is_cancel_requested
    return ShownOrder(
        id=_ID,
        status=status,
        version=version,
        total_minor=_TOTAL,
        currency="eur",
        reason=reason,
        reason_code=reason_code,
        created_at=_PLACED_AT,
        updated_at=_after(updated_after),
        cancel_requested_at=None if asked_after is None else _after(asked_after),
        payment=payment,
        allowed_transitions=allowed,
        can_cancel=can_cancel,
        links=OrderLinks(
            self=_PATH,
            timeline=f"{_PATH}/timeline",
            events=f"{_PATH}/events",
            cancel=f"{_PATH}/cancel" if can_cancel else None,
        ),
        items=_ITEMS,
    ).as_json()


PLACED: Final = _order(OrderStatus.PLACED, 0, PaymentSummary(status="not_started"))
CONFIRMED: Final = _order(
    OrderStatus.CONFIRMED,
    1,
    PaymentSummary(status="authorized", authorized_minor=_TOTAL),
    updated_after=0.4,
)
DECLINED: Final = _order(
    OrderStatus.CANCELLED,
    2,
    PaymentSummary(status="voided"),
    reason="Your card has insufficient funds.",
    reason_code="payment_declined",
    updated_after=0.6,
)
ASKED: Final = _order(OrderStatus.PLACED, 0, PaymentSummary(status="pending"), asked_after=0.3)
CANCELLING: Final = _order(
    OrderStatus.CANCELLING,
    2,
    PaymentSummary(status="captured", authorized_minor=_TOTAL, captured_minor=_TOTAL),
    reason="You cancelled this order.",
    reason_code="cancelled_by_customer",
    updated_after=90,
    asked_after=90,
)
CANCELLED: Final = _order(
    OrderStatus.CANCELLED,
    3,
    PaymentSummary(
        status="refunded",
        authorized_minor=_TOTAL,
        captured_minor=_TOTAL,
        refunded_minor=_TOTAL,
    ),
    reason="You cancelled this order.",
    reason_code="cancelled_by_customer",
    updated_after=91,
    asked_after=90,
)


def _event(order: dict[str, Any]) -> str:
    told = ProgressEvent(
        order_id=_ID,
        status=order["status"],
        version=order["version"],
        at=order["updated_at"],
        cancel_requested_at=order["cancel_requested_at"],
        reason="",
        reason_code="",
    ).as_json()
    return f"id: {told['version']}\nevent: {told['status']}\ndata: {json.dumps(told)}\n\n"


EVENTS: Final = (
    f"retry: 1000\n\n{_event(PLACED)}: nothing new\n\n{_event(CONFIRMED)}event: end\ndata: {{}}\n\n"
)

ORDERS: Final[dict[str, Any]] = {
    "results": [{name: value for name, value in CONFIRMED.items() if name != "items"}],
    "next": None,
    "previous": None,
}
ORDERS_OF_ALICE: Final = {
    **ORDERS,
    "results": [{**each, "customer": "alice"} for each in ORDERS["results"]],
}

TIMELINE: Final = Timeline(
    entries=[
        TimelineEntry(at=_PLACED_AT, kind="order", what="placed", words="You placed this order."),
        TimelineEntry(
            at=_after(0.1), kind="stock", what="reserved", words="Your items are held for you."
        ),
        TimelineEntry(
            at=_after(0.4), kind="order", what="confirmed", words="Your order is confirmed."
        ),
    ]
).as_json()

PRODUCTS: Final = ProductPage(
    results=[
        Product(
            sku=each.sku,
            name=each.name,
            price_minor=each.unit_price_minor,
            currency="eur",
            available=40,
        )
        for each in _ITEMS
    ],
    next=None,
).as_json()

_LINK: Final = (
    "WyIwMTlhYTNjMDVkMmU3YzRhOWE1MzdmMGM3YTFlNmIxMSIsNywwLDEsMTc5NzkzMTgwMF0:hPZ0q1Tn5v7mXo2fE4"
)
LINK: Final = Link(
    url=f"https://shop.example/api/v1/guest/orders/{_LINK}",
    token=_LINK,
    may_cancel=True,
    expires_at=_after(30 * 24 * 60 * 60),
).as_json()

QUOTE: Final = Quote(
    items=[
        QuotedLine(
            sku=each.sku,
            name=each.name,
            quantity=each.quantity,
            unit_price_minor=each.unit_price_minor,
            line_total_minor=each.unit_price_minor * each.quantity,
            available=True,
            available_quantity=40,
        )
        for each in _ITEMS
    ],
    total_minor=_TOTAL,
    currency="eur",
    available=True,
    quoted_at=_PLACED_AT,
).as_json()
