"""Who is calling, and which orders are theirs."""

from uuid import UUID

from django.contrib.auth.models import User
from django.urls import reverse
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request

from access.credentials import Grant, Scope
from orders.api.http.concurrency_limits import Holder
from orders.api.http.problems import not_found
from orders.api.http.response_schemas import NOT_TOLD
from orders.models import Order, OrderQuerySet


def caller(request: Request) -> User:
    if not isinstance(request.user, User):
        raise NotAuthenticated
    return request.user


def grant_of(request: Request) -> Grant:
    if not isinstance(request.auth, Grant):
        raise NotAuthenticated
    return request.auth


def name_of_caller(request: Request) -> str:
    """Return who asked, for the log of an order's moves."""
    return "guest" if grant_of(request).is_guest else caller(request).get_username()


def may_cancel(request: Request) -> bool:
    """Whether the caller's token or link is good for more than reading."""
    return Scope.WRITE in grant_of(request).scopes


def path_of(request: Request, order_id: UUID) -> str:
    """Return where this caller finds an order: a guest at the link by which he came."""
    if grant_of(request).is_guest and (match := request.resolver_match):
        return reverse("guest-order", args=[match.kwargs["token"]])
    return reverse("order", args=[order_id])


def own_orders(request: Request) -> OrderQuerySet:
    """Return the orders that the caller may know of; no view gets at any by another way.

    The shop's server reads with each whose it is, in the same statement.
    """
    orders = Order.objects.visible_to(caller(request), grant_of(request))
    return orders.select_related("customer") if grant_of(request).is_shop else orders


def own_order(request: Request, order_id: UUID) -> Order:
    """Return an order of the caller; what is somebody else's looks as if it never was."""
    order = own_orders(request).with_progress().filter(pk=order_id).first()
    if order is None:
        raise not_found()
    return order


def customer_told(request: Request, order: Order) -> str | None:
    """Return whose order it is, as far as the caller is told: the shop's server alone, by name.

    None is a guest's. Takes no statement for an order that was just placed, or is an own one.
    """
    if not grant_of(request).is_shop:
        return NOT_TOLD
    return order.customer.get_username() if order.customer else None


def holder_for(order: Order) -> Holder:
    """Return whose slot is taken by who watches an order, or waits for it.

    That is whose the order is, by whatever way: a customer by his token, or by links, however many
    he makes, or by the shop's server, which asks for all of them. A guest has but his order.
    """
    return order.customer_id or order.pk
