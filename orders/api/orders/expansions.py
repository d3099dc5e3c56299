"""Showing several orders with what was asked to be shown along, in a constant number of statements."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from rest_framework.request import Request

from orders.api.http import response_schemas as representations
from orders.api.http.auth_context import customer_told, may_cancel, path_of
from orders.api.http.query_params import Expansion
from orders.customer_timeline import customer_timelines
from orders.models import Order, OrderLine, lines_of
from payments.history import payments_of


def expanded(
    request: Request, orders: Sequence[Order], expand: Collection[Expansion]
) -> list[representations.Order]:
    """Show orders that were read ``with_progress``.

    One statement for all their items, one for their payments, four for their timelines, and none
    for what is not asked for.
    """
    ids = [each.pk for each in orders]
    along: dict[str, Any] = {}
    if "items" in expand:
        along["lines"] = _lines(ids)
    if "timeline" in expand:
        along["happenings"] = customer_timelines(orders)
    if "payments" in expand:
        along["payments"] = payments_of(ids)
    return [
        representations.Order.of(
            order,
            path_of(request, order.pk),
            customer=customer_told(request, order),
            may_cancel=may_cancel(request),
            **{name: found.get(order.pk, ()) for name, found in along.items()},
        )
        for order in orders
    ]


def _lines(order_ids: Sequence[UUID]) -> dict[UUID, list[OrderLine]]:
    found: defaultdict[UUID, list[OrderLine]] = defaultdict(list)
    for line in lines_of(order_ids):
        found[line.order_id].append(line)
    return found
