"""Who is calling, and which orders are theirs."""

from uuid import UUID

from django.contrib.auth.models import User
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request

from orders.api.problems import not_found
from orders.models import Order


def caller(request: Request) -> User:
    if not isinstance(request.user, User):
        raise NotAuthenticated
    return request.user


def own_order(request: Request, order_id: UUID) -> Order:
    """Return an order of the caller; what is somebody else's looks as if it never was."""
    order = Order.objects.filter(pk=order_id, customer=caller(request)).first()
    if order is None:
        raise not_found()
    return order
