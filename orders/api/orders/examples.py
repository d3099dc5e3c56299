"""Example bodies for the documentation: one order on its way, built with the response schemas."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from orders.api.carts import EXAMPLE_CART
from orders.api.http import sse
from orders.api.orders.payment_schemas import Decline, PaymentStatus, PaymentSummary
from orders.api.orders.response_schemas import (
    NextAction,
    OrderLine,
    OrderLinks,
    StreamEvent,
    Timeline,
    TimelineEntry,
    Waiting,
    remaining_transitions,
)
from orders.api.orders.response_schemas import Order as OrderResponse
from orders.states import OrderStatus

_ID: Final = "019aa3c0-5d2e-7c4a-9a53-7f0c7a1e6b11"
_PAYMENT_IDS: Final = (
    "019aa3c0-5d2f-7d10-8a1c-2b9d4e6f7a01",
    "019aa3c0-9e44-7b32-b6f0-5c1d8e2a3f04",
)
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
    waiting_for: Waiting | None = None,
    next_action: NextAction | None = None,
) -> dict[str, Any]:
    requested_at = None if cancel_requested_after is None else _after(cancel_requested_after)
    is_cancel_requested = requested_at is not None
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
        cancel_requested_at=requested_at,
        payment=payment,
        waiting_for=waiting_for,
        next_action=next_action,
        allowed_transitions=allowed,
        can_cancel=can_cancel,
        links=OrderLinks.below(
            f"/api/v1/orders/{_ID}",
            can_cancel=can_cancel,
            can_pay=waiting_for is not None,
            can_check=next_action is not None,
        ),
        items=_ITEMS,
    ).as_json()


def _payment(status: PaymentStatus, *, number: int = 1, **fields: Any) -> PaymentSummary:
    """Return a payment by a card that is declined, or by the next one."""
    method = ("pm_card_chargeDeclinedInsufficientFunds", "pm_card_visa")[number - 1]
    return PaymentSummary(
        status=status,
        id=_PAYMENT_IDS[number - 1],
        number=number,
        **{"payment_method": method, **fields},
    )


def _authorized(status: PaymentStatus, **fields: Any) -> PaymentSummary:
    """Return a payment by a good card, whose money is held or was taken."""
    return _payment(status, payment_method="pm_card_visa", authorized_minor=_TOTAL, **fields)


_INSUFFICIENT_FUNDS: Final = Decline(
    code="insufficient_funds", message="Your card has insufficient funds."
)

PLACED: Final = _order(OrderStatus.PLACED, 0, PaymentSummary(status="not_started"))
CONFIRMED: Final = _order(
    OrderStatus.CONFIRMED,
    1,
    _authorized("authorized"),
    updated_after=0.4,
)
DECLINED: Final = _order(
    OrderStatus.CANCELLED,
    2,
    _payment("voided", decline=_INSUFFICIENT_FUNDS),
    reason="Your card has insufficient funds.",
    reason_code="payment_declined",
    updated_after=0.6,
)
CANCEL_REQUESTED: Final = _order(
    OrderStatus.PLACED,
    0,
    _payment("pending", payment_method="pm_card_visa"),
    cancel_requested_after=0.3,
)
TO_AUTHENTICATE: Final = _order(
    OrderStatus.PLACED,
    0,
    _payment("action_required", payment_method="pm_card_authenticationRequired"),
    waiting_for=Waiting(
        code="authentication_required",
        message=(
            "We are waiting for you to confirm the payment at your bank."
            " Otherwise the order is cancelled, and nothing is charged."
        ),
        since=_after(0.4),
        until=_after(900.4),
    ),
    next_action=NextAction(
        type="redirect",
        url="https://hooks.example/authenticate/1",
        client_secret="pi_1_secret_2",  # noqa: S106 - an example
        payment_id=_PAYMENT_IDS[0],
        until=_after(900.4),
    ),
)
ANOTHER_PAYMENT_NEEDED: Final = _order(
    OrderStatus.PLACED,
    0,
    _payment("declined", decline=_INSUFFICIENT_FUNDS),
    waiting_for=Waiting(
        code="another_payment_needed",
        message=(
            "We are waiting for you to pay with another card. Otherwise the order is cancelled."
        ),
        since=_after(0.4),
        until=_after(900.4),
    ),
)
PAID_OTHERWISE: Final = _order(OrderStatus.PLACED, 0, _payment("pending", number=2))
CANCELLING: Final = _order(
    OrderStatus.CANCELLING,
    2,
    _authorized("captured", captured_minor=_TOTAL),
    reason="You cancelled this order.",
    reason_code="cancelled_by_customer",
    updated_after=90,
    cancel_requested_after=90,
)
CANCELLED: Final = _order(
    OrderStatus.CANCELLED,
    3,
    _authorized("refunded", captured_minor=_TOTAL, refunded_minor=_TOTAL),
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
