"""Who calls, what they may do, and which orders they may see."""

from uuid import UUID

from django.contrib.auth.models import User
from django.urls import reverse
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request

from access.credentials import Grant, Scope
from orders.api.http.problems import not_found
from orders.models import Order, OrderQuerySet


def account_of(request: Request) -> User:
    """Return the account of the token, or the account that issued the guest link."""
    if not isinstance(request.user, User):
        raise NotAuthenticated
    return request.user


def grant_of(request: Request) -> Grant:
    if not isinstance(request.auth, Grant):
        raise NotAuthenticated
    return request.auth


def actor_name(request: Request) -> str:
    """Return the name under which an order's history records this caller."""
    return "guest" if grant_of(request).is_guest else account_of(request).get_username()


def can_write(request: Request) -> bool:
    """Return whether the caller's token or link allows changes, such as a cancellation."""
    return Scope.WRITE in grant_of(request).scopes


def order_path(request: Request, order_id: UUID) -> str:
    """Return the path at which this caller reads an order: for a guest, the path of their link."""
    if grant_of(request).is_guest and (match := request.resolver_match):
        return reverse("guest-order", args=[match.kwargs["token"]])
    return reverse("order", args=[order_id])


def own_orders(request: Request) -> OrderQuerySet:
    """Return the orders that the caller may see. Views have no other access to orders.

    For the shop's server, the same statement also reads the customer of each order.
    """
    orders = Order.objects.visible_to(account_of(request), grant_of(request))
    return orders.select_related("customer") if grant_of(request).is_shop else orders


def own_order(request: Request, order_id: UUID) -> Order:
    """Return one order of the caller, read ``with_progress``.

    Raises the same 404 Problem for an unknown order and for one of another customer.
    """
    order = own_orders(request).with_progress().filter(pk=order_id).first()
    if order is None:
        raise not_found()
    return order
