"""Paying an order by another method, while it waits for its customer."""

from functools import partial
from http import HTTPStatus
from typing import Final
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.credentials import Scope
from access.permissions import Scopes
from access.rates import Rate
from access.throttling import Rates
from orders.api.http.auth_context import own_order
from orders.api.http.documentation.headers import LOCATION, RETRY_AFTER
from orders.api.http.documentation.operation import Operation, SuccessResponse, documented
from orders.api.http.idempotency import IdempotentRequest, run_idempotent
from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import FieldError, Problem
from orders.api.http.request_schemas import invalid_request, parse_body
from orders.api.orders import examples
from orders.api.orders.documentation import TAG
from orders.api.orders.response_schemas import Order
from orders.api.orders.responses import order_response
from orders.api.payments.schemas import EXAMPLE, AnotherPayment
from orders.errors import PaymentNotAwaited, TotalBelowMinimum, TotalTooLarge
from orders.services import pay_otherwise
from orders.states import SETTLED
from payments.errors import CurrencyNotCharged, PaymentInProgress, TooManyPayments

_PAY_OTHERWISE: Final = Operation(
    "pay_otherwise",
    TAG,
    "Pay an order by another method",
    "For an order whose payment was declined, or whose customer does not authenticate it. `waiting_for` "
    "says until when. The order keeps its stock, its items and its `reference`. The earlier payment is "
    "cancelled at the payment provider before the new one is created.",
    (
        SuccessResponse(
            HTTPStatus.ACCEPTED,
            "The payment is stored, and will be authorized. Read or follow the order.",
            Order,
            {"Accepted": examples.PLACED},
            headers=(LOCATION, RETRY_AFTER),
        ),
    ),
    body=AnotherPayment,
    body_examples={"Another card": EXAMPLE},
    problems=(
        ProblemType.PAYMENT_NOT_AWAITED,
        ProblemType.PAYMENT_IN_PROGRESS,
        ProblemType.TOO_MANY_PAYMENTS,
    ),
    is_idempotent=True,
)


class PaymentsView(APIView):
    scopes: Scopes = {"POST": Scope.WRITE}
    rates: Rates = {"POST": Rate.ORDERS}

    @documented(_PAY_OTHERWISE)
    def post(self, request: Request, order_id: UUID) -> Response:
        """Pay an order by another method: 202 when the payment is stored.

        A repetition with the same Idempotency-Key stores no other payment.
        """
        body = parse_body(AnotherPayment, request)
        idempotent_request = IdempotentRequest.of(request, body)
        order = own_order(request, order_id)
        pay = partial(pay_otherwise, order.pk, body.payment_method, replaces=body.replaced_id)
        try:
            outcome = run_idempotent(idempotent_request, order.pk, pay)
        except PaymentNotAwaited as error:
            raise Problem(
                ProblemType.PAYMENT_NOT_AWAITED,
                f"The order is {error.status}, and waits for no payment.",
                extensions={"order_status": error.status},
            ) from None
        except PaymentInProgress as error:
            raise Problem(
                ProblemType.PAYMENT_IN_PROGRESS,
                "The customer can still authenticate the open payment.",
                extensions={"payment_id": str(error.payment_id)},
            ) from None
        except TooManyPayments as error:
            raise Problem(
                ProblemType.TOO_MANY_PAYMENTS, f"An order may be paid {error.limit} times."
            ) from None
        except (TotalBelowMinimum, TotalTooLarge, CurrencyNotCharged):
            raise invalid_request(
                "This payment method cannot be charged the order's total.",
                [FieldError("/payment_method", "cannot be charged this total")],
            ) from None
        order = own_order(request, order_id)
        return order_response(
            request, idempotent_request, outcome, order, order.lines.all(), settled=SETTLED
        )
