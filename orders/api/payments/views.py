"""Paying an order by another method, and checking a payment whose customer has authenticated it."""

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
from orders.api.http.auth_context import order_path, own_order
from orders.api.http.documentation.headers import LOCATION, RETRY_AFTER
from orders.api.http.documentation.operation import Operation, SuccessResponse, documented
from orders.api.http.idempotency import IdempotentRequest, run_idempotent
from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import FieldError, Problem
from orders.api.http.request_schemas import EmptyBody, invalid_request, parse_body
from orders.api.orders import examples
from orders.api.orders.documentation import TAG
from orders.api.orders.expansions import expanded_orders
from orders.api.orders.response_schemas import Order
from orders.api.orders.responses import order_response
from orders.api.payments.schemas import EXAMPLE, AnotherPayment
from orders.errors import (
    NotAwaitedReason,
    PaymentNotAwaited,
    TotalBelowMinimum,
    TotalTooLarge,
)
from orders.services import check_payment, pay_otherwise
from orders.states import SETTLED
from payments.errors import CurrencyNotCharged, PaymentInProgress, TooManyPayments

_PAY_OTHERWISE: Final = Operation(
    "pay_otherwise",
    TAG,
    "Pay an order by another method",
    "For an order whose payment was declined, or whose customer does not authenticate it. `waiting_for` "
    "says until when. The order keeps its stock, its items and its `reference`. The earlier payment is "
    "cancelled at the payment provider before the new one is created. Until the new one is made, the "
    "order waits for nothing, and another request gets a 409.",
    (
        SuccessResponse(
            HTTPStatus.ACCEPTED,
            "The payment is stored, and is being made. Read or follow the order.",
            Order,
            {"Accepted": examples.PAID_OTHERWISE},
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


_CHECK_PAYMENT: Final = Operation(
    "check_payment",
    TAG,
    "Check whether the customer has authenticated the payment",
    "Send it when the customer is back from their bank: the payment provider is then asked at once "
    "how the authentication ended. Without it, that is noticed within a minute. It stores nothing, "
    "so it needs no `Idempotency-Key`, and can be repeated.",
    (
        SuccessResponse(
            HTTPStatus.ACCEPTED,
            "The payment provider is being asked. Read or follow the order.",
            Order,
            {"Being checked": examples.TO_AUTHENTICATE},
            headers=(LOCATION, RETRY_AFTER),
        ),
        SuccessResponse(
            HTTPStatus.OK,
            "The order waits for no authentication, and is as it is here. Nothing was asked.",
            Order,
            {"Confirmed": examples.CONFIRMED},
            headers=(LOCATION,),
        ),
    ),
    body=EmptyBody,
    body_examples={"No fields": {}},
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
            raise _not_awaited(error) from None
        except PaymentInProgress as error:
            raise _in_progress(error) from None
        except TooManyPayments as error:
            raise Problem(
                ProblemType.TOO_MANY_PAYMENTS,
                f"An order may be paid {error.limit} times. Cancel it, and place another one.",
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


class PaymentCheckView(APIView):
    scopes: Scopes = {"POST": Scope.WRITE}

    @documented(_CHECK_PAYMENT)
    def post(self, request: Request, order_id: UUID) -> Response:
        """Ask the provider how an authentication ended: 202; 200 for an order that waits for none."""
        parse_body(EmptyBody, request)
        order = own_order(request, order_id)
        headers = {"Location": order_path(request, order.pk)}
        status = HTTPStatus.OK
        if check_payment(order.pk):
            status = HTTPStatus.ACCEPTED
            headers["Retry-After"] = "1"
        [content] = expanded_orders(request, [order], {"items"})
        return Response(content.as_json(), status=status, headers=headers)


_NOT_AWAITED: Final = {
    NotAwaitedReason.BEING_MADE: (
        "A payment of this order is being made. Follow the order: it says if another one is needed."
    ),
    NotAwaitedReason.BEING_CHECKED: (
        "The payment provider is just being asked about the open payment. Repeat the request."
    ),
    NotAwaitedReason.PAUSED: (
        "The shop is looking into this order, and takes no payment meanwhile. Follow the order."
    ),
    NotAwaitedReason.OTHER: "The order is {status}, and waits for no payment. Read the order.",
}


def _not_awaited(error: PaymentNotAwaited) -> Problem:
    may_repeat = error.reason == NotAwaitedReason.BEING_CHECKED
    return Problem(
        ProblemType.PAYMENT_NOT_AWAITED,
        _NOT_AWAITED[error.reason].format(status=error.status),
        headers={"Retry-After": "1"} if may_repeat else {},
        extensions={"order_status": error.status},
    )


def _in_progress(error: PaymentInProgress) -> Problem:
    return Problem(
        ProblemType.PAYMENT_IN_PROGRESS,
        "The customer can still authenticate the open payment. Continue with `next_action` of the"
        " order, or repeat the request with `replaces` set to `payment_id`.",
        extensions={"payment_id": str(error.payment_id)},
    )
