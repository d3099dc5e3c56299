"""Keyset pages of orders, newest first: new orders do not shift them, and deep pages cost the same.

See ``http.pagination`` for why this is not REST framework's CursorPagination.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from django.contrib.auth.models import User
from rest_framework.request import Request

from orders.api.http.auth_context import account_of, grant_of
from orders.api.http.pagination import CursorSigner
from orders.api.orders.request_schemas import OrderListQuery
from orders.models import Order, OrderQuerySet


def filtered(orders: OrderQuerySet, query: OrderListQuery) -> OrderQuerySet:
    """Apply the filters of a query."""
    if query.status:
        orders = orders.filter(status__in=query.status)
    if query.created_after is not None:
        orders = orders.filter(created_at__gte=query.created_after)
    if query.created_before is not None:
        orders = orders.filter(created_at__lt=query.created_before)
    if query.reference is not None:
        orders = orders.filter(reference=query.reference)
    if query.customer is not None:
        # In a statement of its own: with the id known, PostgreSQL chooses the best index.
        customers = User.objects.filter(username=query.customer).values_list("pk", flat=True)
        orders = orders.filter(customer__in=list(customers))
    return orders


@dataclass(frozen=True, slots=True)
class Position:
    """A place beside one order of the list: a page has the older orders, or the newer ones."""

    created_at: datetime
    order_id: UUID
    is_towards_newer: bool

    @classmethod
    def beside(cls, order: Order, *, is_towards_newer: bool = False) -> Self:
        return cls(order.created_at, order.pk, is_towards_newer)


@dataclass(frozen=True, slots=True)
class Page:
    """Orders, newest first, and where the neighbouring pages begin."""

    orders: Sequence[Order]
    next: Position | None
    previous: Position | None


def page_of(orders: OrderQuerySet, start: Position | None, size: int) -> Page:
    """Read one page in one statement, which an index serves."""
    is_towards_newer = start is not None and start.is_towards_newer
    if start is not None and is_towards_newer:
        orders = orders.filter(created_at__gte=start.created_at).exclude(
            created_at=start.created_at, pk__lte=start.order_id
        )
    elif start is not None:
        orders = orders.filter(created_at__lte=start.created_at).exclude(
            created_at=start.created_at, pk__gte=start.order_id
        )
    ordering = ("created_at", "pk") if is_towards_newer else ("-created_at", "-pk")
    found = list(orders.with_progress().order_by(*ordering)[: size + 1])
    has_more, shown = len(found) > size, found[:size]
    if is_towards_newer:
        shown.reverse()
    has_older = has_more or is_towards_newer
    has_newer = has_more if is_towards_newer else start is not None
    return Page(
        shown,
        next=Position.beside(shown[-1]) if shown and has_older else None,
        previous=Position.beside(shown[0], is_towards_newer=True) if shown and has_newer else None,
    )


class OrderCursors:
    """Cursors that are valid for one caller and one set of filters."""

    def __init__(self, request: Request, query: OrderListQuery) -> None:
        filters = query.model_dump(mode="json", exclude={"cursor", "page_size", "expand"})
        filters["status"].sort()
        grant = grant_of(request)
        scope = [account_of(request).pk, str(grant.order_id), grant.is_shop, filters]
        self._cursors = CursorSigner(f"orders:{json.dumps(scope)}")

    def write(self, position: Position) -> str:
        created_at, order_id = position.created_at.isoformat(), str(position.order_id)
        return self._cursors.write([created_at, order_id, position.is_towards_newer])

    def read(self, cursor: str) -> Position:
        """Return where a page begins. Raises a Problem for a cursor of another list."""
        created_at, order_id, is_towards_newer = self._cursors.read(cursor)
        return Position(datetime.fromisoformat(created_at), UUID(order_id), is_towards_newer)
