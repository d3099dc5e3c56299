"""Who is calling, and which orders are theirs."""

from uuid import UUID

from django.contrib.auth.models import User
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request

from access.grants import Grant
from orders.api.problems import not_found
from orders.models import Order, OrderQuerySet


def caller(request: Request) -> User:
    if not isinstance(request.user, User):
        raise NotAuthenticated
    return request.user


def grant_of(request: Request) -> Grant:
    if not isinstance(request.auth, Grant):
        raise NotAuthenticated
    return request.auth


def own_orders(request: Request) -> OrderQuerySet:
    """Return the orders that the caller may know of; no view gets at any by another way."""
    return Order.objects.visible_to(caller(request), grant_of(request))


def own_order(request: Request, order_id: UUID) -> Order:
    """Return an order of the caller; what is somebody else's looks as if it never was."""
    order = own_orders(request).with_progress().filter(pk=order_id).first()
    if order is None:
        raise not_found()
    return order
