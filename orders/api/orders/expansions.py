"""Builds order responses with the expansions that were asked for, in few statements."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from rest_framework.request import Request

from orders.api.http.auth_context import can_write, grant_of, order_path
from orders.api.orders import response_schemas
from orders.api.orders.request_schemas import Expansion
from orders.customer_timeline import customer_timelines
from orders.models import Order, OrderLine, lines_of
from payments.history import payments_of
from payments.services import PendingAction, customer_action


def expanded_orders(
    request: Request, orders: Sequence[Order], expand: Collection[Expansion]
) -> list[response_schemas.Order]:
    """Build responses for orders that were read ``with_progress``.

    Independent of the number of orders: one statement for all items, one for all payments, four
    more for all timelines, and none for what is not expanded.
    """
    order_ids = [order.pk for order in orders]
    expansions: dict[str, Any] = {}
    if "items" in expand:
        expansions["lines"] = _lines_by_order(order_ids)
    if {"timeline", "payments"} & set(expand):
        payments = payments_of(order_ids)
        if "payments" in expand:
            expansions["payments"] = payments
        if "timeline" in expand:
            expansions["timeline"] = customer_timelines(orders, payments)
    return [
        response_schemas.Order.of(
            order,
            order_path(request, order.pk),
            customer=visible_customer(request, order),
            may_cancel=can_write(request),
            action=action_of(order),
            **{name: by_order.get(order.pk, ()) for name, by_order in expansions.items()},
        )
        for order in orders
    ]


def action_of(order: Order) -> PendingAction | None:
    """Return what the customer has to do now. One statement, and none for an order that does not ask."""
    if order.wait is None or not order.wait.can_authenticate:
        return None
    return customer_action(order.pk)


def visible_customer(request: Request, order: Order) -> str | None:
    """Return the customer's name for the shop's server, and HIDDEN for all other callers.

    None is a guest. Runs no statement for an order from ``own_orders`` or one just placed.
    """
    if not grant_of(request).is_shop:
        return response_schemas.HIDDEN
    return order.customer.get_username() if order.customer else None


def _lines_by_order(order_ids: Sequence[UUID]) -> dict[UUID, list[OrderLine]]:
    found: defaultdict[UUID, list[OrderLine]] = defaultdict(list)
    for line in lines_of(order_ids):
        found[line.order_id].append(line)
    return found
