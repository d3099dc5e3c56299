"""The endpoints. Each parses, calls one service, and shows what came of it."""

from collections.abc import Collection, Sequence
from functools import partial
from http import HTTPStatus
from uuid import UUID

from django.contrib.auth.models import User
from django.urls import reverse
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

import inventory.services
from orders.api.idempotency import Acted, Replayed, once
from orders.api.parsing import NewOrder, Nothing, invalid, parse_body
from orders.api.problems import FieldError, not_found
from orders.api.representations import order_as_json, product_as_json
from orders.api.waiting import seconds_to_wait, watcher
from orders.errors import TotalTooLarge, UnknownProducts
from orders.models import Order, OrderLine
from orders.services import cancel_order, place_order
from orders.states import SETTLED, OrderStatus
from orders.timeline import timeline
from sagas.identifiers import new_id


class Orders(APIView):
    def post(self, request: Request) -> Response:
        """Place an order: 202 when it is accepted, 201 when it settled within ``Prefer: wait``.

        Repeating the request with the same Idempotency-Key gives the same order.
        """
        body = parse_body(NewOrder, request.data)
        order_id, customer = new_id(), _caller(request)
        place = partial(place_order, order_id, customer, body.quantities(), body.payment_method)
        try:
            outcome = once(request, customer, body.model_dump(), order_id, place)
        except UnknownProducts as error:
            raise _unknown_products(body, error) from None
        except TotalTooLarge as error:
            raise invalid(str(error), [FieldError("/items", "costs too much")]) from None
        if isinstance(outcome, Acted):
            placed = outcome.result
            return _answer(request, placed.order, placed.lines, SETTLED)
        order = _own_order(request, outcome.order_id)
        return _answer(request, order, _lines(order), SETTLED, is_replay=True)


def _unknown_products(body: NewOrder, error: UnknownProducts) -> Exception:
    errors = [
        FieldError(f"/items/{position}/sku", f"{line.sku} is not for sale")
        for position, line in enumerate(body.items)
        if line.sku in error.skus
    ]
    return invalid("The cart has products that are not for sale.", errors)


class OrderDetail(APIView):
    def get(self, request: Request, order_id: UUID) -> Response:
        """Show one of the caller's orders."""
        order = _own_order(request, order_id)
        return Response(order_as_json(order, _lines(order)))


class Timeline(APIView):
    def get(self, request: Request, order_id: UUID) -> Response:
        """Show everything that happened to one of the caller's orders, oldest first."""
        return Response({"entries": timeline(_own_order(request, order_id))})


class Cancellation(APIView):
    def post(self, request: Request, order_id: UUID) -> Response:
        """Cancel an order, whatever it is at: its money goes back and its stock on the shelf."""
        # No body at all is an empty form to REST framework.
        body = parse_body(Nothing, request.data if request.META.get("CONTENT_LENGTH") else {})
        customer, order = _caller(request), _own_order(request, order_id)
        cancel = partial(
            cancel_order,
            order.pk,
            reason="cancelled_by_customer",
            actor=customer.get_username(),
        )
        outcome = once(request, customer, body.model_dump(), order.pk, cancel)
        order.refresh_from_db()
        return _answer(
            request,
            order,
            _lines(order),
            (OrderStatus.CANCELLED,),
            settled_as=HTTPStatus.OK,
            is_replay=isinstance(outcome, Replayed),
        )


class Products(APIView):
    def get(self, _: Request) -> Response:
        """Show what is for sale, and how much of it is available now."""
        found = inventory.services.catalogue()
        return Response({"results": [product_as_json(each) for each in found]})


def _caller(request: Request) -> User:
    if not isinstance(request.user, User):
        raise NotAuthenticated
    return request.user


def _own_order(request: Request, order_id: UUID) -> Order:
    """Return an order of the caller; what is somebody else's looks as if it never was."""
    order = Order.objects.filter(pk=order_id, customer=_caller(request)).first()
    if order is None:
        raise not_found()
    return order


def _lines(order: Order) -> list[OrderLine]:
    return list(order.lines.all())


def _answer(
    request: Request,
    order: Order,
    lines: Sequence[OrderLine],
    settled: Collection[str],
    *,
    settled_as: HTTPStatus = HTTPStatus.CREATED,
    is_replay: bool = False,
) -> Response:
    """Wait as long as the caller prefers, and show the order: accepted, until it got there."""
    if (seconds := seconds_to_wait(request)) and order.status not in settled:
        watcher.wait(order.pk, settled, seconds)
        order.refresh_from_db()
    # A repetition of "place this" is answered as the first was, however far the order is now.
    asks_for_end = bool(seconds) or settled_as == HTTPStatus.OK
    has_settled = asks_for_end and order.status in settled
    headers = {"Location": reverse("order", args=[order.pk])}
    if seconds:
        headers["Preference-Applied"] = f"wait={seconds}"
    if is_replay:
        headers["Idempotency-Replayed"] = "true"
    if not has_settled:
        headers["Retry-After"] = "1"
    status = settled_as if has_settled else HTTPStatus.ACCEPTED
    return Response(order_as_json(order, lines), status=status, headers=headers)
