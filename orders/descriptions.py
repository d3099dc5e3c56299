"""What a person reads of an order who decides about it: at the desk, in a shell, or by a link."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import payments.services
from clock.now import now
from money.amounts import format_amount
from orders.models import Order, lines_of


@dataclass(frozen=True, slots=True)
class OrderDescription:
    """One order with what the API shows of it to the shop."""

    number: str
    reference: str
    """The shop's own number of the order; may be empty."""
    customer: str
    total: str
    placed_at: datetime
    items: Sequence[str]


def describe_order(order_id: UUID) -> OrderDescription | None:
    """Return the description of an order, in two statements; None if there is no such order."""
    order = Order.objects.select_related("customer").filter(pk=order_id).first()
    if order is None:
        return None
    return OrderDescription(
        number=str(order.pk),
        reference=order.reference or "",
        customer=order.customer.get_username() if order.customer else "guest",
        total=format_amount(order.total_minor, order.currency),
        placed_at=order.created_at,
        items=[f"{line.quantity} x {line.name} ({line.sku})" for line in lines_of([order_id])],
    )


def payment_warning(order_id: UUID) -> str:
    """Return a warning if the authorization of an order's payment has ended; empty otherwise.

    It is for a person who decides whether the order goes on. Makes no call.
    """
    until = payments.services.authorized_until(order_id)
    if until is None or until > now():
        return ""
    return (
        f"The bank's authorization of the payment ended on {until:%Y-%m-%d %H:%M} UTC: if approved,"
        " the payment will probably fail."
    )
