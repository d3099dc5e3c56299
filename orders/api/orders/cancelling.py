"""Cancelling an order."""

from functools import partial
from http import HTTPStatus
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.credentials import Scope
from access.permissions import Scopes
from orders.api.http.auth_context import name_of_caller, own_order
from orders.api.http.idempotency import idempotent_request, run_idempotent
from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import Problem
from orders.api.http.request_schemas import Nothing, parse_body
from orders.api.orders.responses import answer
from orders.errors import IllegalTransition
from orders.services import cancel_order
from orders.states import TRANSITIONS, OrderStatus


class Cancellation(APIView):
    scopes: Scopes = {"POST": Scope.WRITE}

    def post(self, request: Request, order_id: UUID) -> Response:
        """Cancel an order, whatever it is at: its money goes back and its stock on the shelf."""
        purpose = idempotent_request(request, parse_body(Nothing, request))
        order = own_order(request, order_id)
        cancel = partial(
            cancel_order,
            order.pk,
            reason="cancelled_by_customer",
            actor=name_of_caller(request),
        )
        try:
            outcome = run_idempotent(purpose, order.pk, cancel)
        except IllegalTransition as error:
            raise _too_late(error) from None
        order = own_order(request, order_id)
        return answer(
            request,
            purpose,
            outcome,
            order,
            order.lines.all(),
            settled=(OrderStatus.CANCELLED,),
            settled_as=HTTPStatus.OK,
        )


def _too_late(error: IllegalTransition) -> Problem:
    allowed = [each for each in OrderStatus if each in TRANSITIONS[error.source] - {error.target}]
    return Problem(
        ProblemType.TRANSITION_NOT_ALLOWED,
        f"The order is {error.source}, and at a point from which it has to go on.",
        headers={"Retry-After": "1"},
        more={"order_status": error.source, "allowed_transitions": allowed},
    )
