"""Example bodies for the documentation: one order on its way, built with the response schemas."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from orders.api.carts import EXAMPLE_CART
from orders.api.http import sse
from orders.api.orders.response_schemas import Order as OrderResponse
from orders.api.orders.response_schemas import (
    OrderLine,
    OrderLinks,
    PaymentSummary,
    StreamEvent,
    Timeline,
    TimelineEntry,
    remaining_transitions,
)
from orders.states import OrderStatus

_ID: Final = "019aa3c0-5d2e-7c4a-9a53-7f0c7a1e6b11"
_PLACED_AT: Final = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
_ITEMS: Final = (
    OrderLine(sku="MUG-BLUE", name="Mug, blue", quantity=2, unit_price_minor=1290),
    OrderLine(sku="TEE-M", name="T-shirt, medium", quantity=1, unit_price_minor=2490),
)
_TOTAL: Final = sum(item.quantity * item.unit_price_minor for item in _ITEMS)

NEW_ORDER: Final = {**EXAMPLE_CART, "payment_method": "pm_card_visa"}


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
    cancel_requested_after: float | None = None,
) -> dict[str, Any]:
    is_cancel_requested = cancel_requested_after is not None
    allowed = remaining_transitions(status, is_cancel_requested=is_cancel_requested)
    can_cancel = OrderStatus.CANCELLING in allowed and not is_cancel_requested
    return OrderResponse(
        id=_ID,
        status=status,
        version=version,
        total_minor=_TOTAL,
        currency="eur",
        reason=reason,
        reason_code=reason_code,
        created_at=_PLACED_AT,
        updated_at=_after(updated_after),
        cancel_requested_at=None
        if cancel_requested_after is None
        else _after(cancel_requested_after),
        payment=payment,
        allowed_transitions=allowed,
        can_cancel=can_cancel,
        links=OrderLinks.below(f"/api/v1/orders/{_ID}", can_cancel=can_cancel),
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
CANCEL_REQUESTED: Final = _order(
    OrderStatus.PLACED, 0, PaymentSummary(status="pending"), cancel_requested_after=0.3
)
CANCELLING: Final = _order(
    OrderStatus.CANCELLING,
    2,
    PaymentSummary(status="captured", authorized_minor=_TOTAL, captured_minor=_TOTAL),
    reason="You cancelled this order.",
    reason_code="cancelled_by_customer",
    updated_after=90,
    cancel_requested_after=90,
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
    cancel_requested_after=90,
)


def _event(order: dict[str, Any]) -> str:
    data = StreamEvent(
        order_id=_ID,
        status=order["status"],
        version=order["version"],
        at=order["updated_at"],
        cancel_requested_at=order["cancel_requested_at"],
        reason="",
        reason_code="",
    ).as_json()
    return sse.event(data["status"], data, str(data["version"]))


EVENTS: Final = "".join(
    (
        sse.reconnect_after(1000),
        _event(PLACED),
        sse.comment("nothing new"),
        _event(CONFIRMED),
        sse.event("end", {}),
    )
)

ORDERS: Final[dict[str, Any]] = {
    "results": [{name: value for name, value in CONFIRMED.items() if name != "items"}],
    "next": None,
    "previous": None,
}
ORDERS_OF_ALICE: Final = {
    **ORDERS,
    "results": [{**order, "customer": "alice"} for order in ORDERS["results"]],
}

TIMELINE: Final = Timeline(
    entries=[
        TimelineEntry(at=_PLACED_AT, kind="order", code="placed", message="You placed this order."),
        TimelineEntry(
            at=_after(0.1), kind="stock", code="reserved", message="Your items are reserved."
        ),
        TimelineEntry(
            at=_after(0.4), kind="order", code="confirmed", message="Your order is confirmed."
        ),
    ]
).as_json()
