"""Listing orders, newest first, by pages that do not shift while orders come in.

A page begins where another ended, at a moment and an id (keyset pagination): each costs what it
shows, however deep it is, and nothing is counted. REST framework's CursorPagination knows one
column only, skips those that are equal in it by OFFSET, and takes forged cursors for empty ones.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from django.contrib.auth.models import User
from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.views import APIView

from access.credentials import Scope
from access.errors import ScopeMissing
from access.permissions import Scopes
from orders.api.http import response_schemas as representations
from orders.api.http.auth_context import caller, grant_of, own_orders
from orders.api.http.etags import unless_known
from orders.api.http.pagination import Cursors, link_header, url_of
from orders.api.http.query_params import OrdersQuery, parse_query
from orders.api.orders.expansions import expanded
from orders.models import Order, OrderQuerySet


class Listing(APIView):
    scopes: Scopes = {"GET": Scope.READ}

    def get(self, request: Request) -> HttpResponseBase:
        """List the caller's orders, newest first."""
        query = parse_query(OrdersQuery, request)
        if query.customer is not None and not grant_of(request).is_shop:
            raise ScopeMissing(Scope.SHOP)
        cursors = OrderCursors(request, query)
        start = cursors.read(query.cursor) if query.cursor is not None else None
        page = page_of(_filtered(own_orders(request), query), start, query.page_size)
        following, previous = (
            url_of(request, cursors.write(each)) if each else None
            for each in (page.following, page.previous)
        )
        shown = representations.OrderPage(
            results=expanded(request, page.orders, query.expand), next=following, previous=previous
        )
        links = link_header({"next": following, "prev": previous})
        return unless_known(request, shown, links)


def _filtered(orders: OrderQuerySet, query: OrdersQuery) -> OrderQuerySet:
    if query.status:
        orders = orders.filter(status__in=query.status)
    if query.created_after is not None:
        orders = orders.filter(created_at__gte=query.created_after)
    if query.created_before is not None:
        orders = orders.filter(created_at__lt=query.created_before)
    if query.reference is not None:
        orders = orders.filter(reference=query.reference)
    if query.customer is not None:
        # Asked first: that the id is known lets PostgreSQL choose the way that is best for it.
        known = User.objects.filter(username=query.customer).values_list("pk", flat=True)
        orders = orders.filter(customer__in=list(known))
    return orders


@dataclass(frozen=True, slots=True)
class Position:
    """Beside one order of the list: the page is of those that are older than it, or newer."""

    created_at: datetime
    order_id: UUID
    is_upwards: bool

    @classmethod
    def beside(cls, order: Order, *, is_upwards: bool = False) -> Self:
        return cls(order.created_at, order.pk, is_upwards)


@dataclass(frozen=True, slots=True)
class Page:
    """Some orders, newest first, and where the pages before and after them begin."""

    orders: Sequence[Order]
    following: Position | None
    previous: Position | None


def page_of(orders: OrderQuerySet, start: Position | None, size: int) -> Page:
    """Read one page in one statement; an index leads to where it begins."""
    is_upwards = start is not None and start.is_upwards
    if start is not None and is_upwards:
        orders = orders.filter(created_at__gte=start.created_at).exclude(
            created_at=start.created_at, pk__lte=start.order_id
        )
    elif start is not None:
        orders = orders.filter(created_at__lte=start.created_at).exclude(
            created_at=start.created_at, pk__gte=start.order_id
        )
    ordering = ("created_at", "pk") if is_upwards else ("-created_at", "-pk")
    found = list(orders.with_progress().order_by(*ordering)[: size + 1])
    has_more, shown = len(found) > size, found[:size]
    if is_upwards:
        shown.reverse()
    comes_from_above, comes_from_below = start is not None and not is_upwards, is_upwards
    return Page(
        shown,
        Position.beside(shown[-1]) if shown and (has_more or comes_from_below) else None,
        Position.beside(shown[0], is_upwards=True)
        if shown and (comes_from_above or (is_upwards and has_more))
        else None,
    )


class OrderCursors:
    """Cursors that are good for one caller's list with the same filters."""

    def __init__(self, request: Request, query: OrdersQuery) -> None:
        filters = query.model_dump(mode="json", exclude={"cursor", "page_size", "expand"})
        filters["status"].sort()
        grant = grant_of(request)
        whose = [caller(request).pk, str(grant.order_id), grant.is_shop, filters]
        self._cursors = Cursors(f"orders:{json.dumps(whose)}")

    def write(self, position: Position) -> str:
        moment, order_id = position.created_at.isoformat(), str(position.order_id)
        return self._cursors.write([moment, order_id, position.is_upwards])

    def read(self, cursor: str) -> Position:
        """Return where a page begins. Raises a Problem for what was not written for this list."""
        created_at, order_id, is_upwards = self._cursors.read(cursor)
        return Position(datetime.fromisoformat(created_at), UUID(order_id), is_upwards)
