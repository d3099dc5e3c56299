"""Cancelling an order."""

from functools import partial
from http import HTTPStatus
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.grants import Scope
from access.permissions import Scopes
from orders.api.answers import accepted_or_settled
from orders.api.callers import caller, name_of_caller, own_order
from orders.api.idempotency import Replayed, once
from orders.api.parsing import Nothing, parse_body
from orders.models import Order
from orders.services import cancel_order
from orders.states import OrderStatus


class Cancellation(APIView):
    scopes: Scopes = {"POST": Scope.WRITE}

    def post(self, request: Request, order_id: UUID) -> Response:
        """Cancel an order, whatever it is at: its money goes back and its stock on the shelf."""
        body = parse_body(Nothing, request)
        customer, order = caller(request), own_order(request, order_id)
        cancel = partial(
            cancel_order,
            order.pk,
            reason="cancelled_by_customer",
            actor=name_of_caller(request),
        )
        outcome = once(request, customer, body.model_dump(), order.pk, cancel)
        order = Order.objects.with_progress().get(pk=order.pk)
        return accepted_or_settled(
            request,
            order,
            order.lines.all(),
            (OrderStatus.CANCELLED,),
            settled_as=HTTPStatus.OK,
            is_replay=isinstance(outcome, Replayed),
        )
