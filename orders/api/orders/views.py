"""Placing an order."""

from functools import partial
from uuid import UUID

from django.contrib.auth.models import User
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.accounts import AccountBlocked, customer_named
from access.credentials import Scope
from access.errors import ScopeMissing
from access.permissions import Scopes
from access.rates import Rate
from access.throttling import Rates
from orders.api.http.auth_context import caller, grant_of, own_order, own_orders, path_of
from orders.api.http.idempotency import Executed, idempotent_request, run_idempotent
from orders.api.http.order_watcher import seconds_to_wait
from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import FieldError, Problem
from orders.api.http.request_schemas import NewOrder, invalid, not_sold, parse_body
from orders.api.orders.responses import AS_PLACED, answer
from orders.errors import (
    PriceChanged,
    ReferenceTaken,
    TooManyOpenOrders,
    TotalTooLarge,
    UnknownProducts,
)
from orders.services import PlacedOrder, PriceExpectation, enforce_open_order_limit, place_order
from orders.states import SETTLED
from sagas.identifiers import new_id


class Ordering(APIView):
    scopes: Scopes = {"POST": Scope.WRITE}
    rates: Rates = {"POST": Rate.ORDERS}

    def post(self, request: Request) -> Response:
        """Place an order: 202 when it is accepted, 201 when it settled within ``Prefer: wait``.

        Repeating the request with the same Idempotency-Key gives the same order.
        """
        body = parse_body(NewOrder, request)
        purpose, order_id = idempotent_request(request, body), new_id()
        known = None if seconds_to_wait(request) else AS_PLACED
        try:
            outcome = run_idempotent(
                purpose, order_id, partial(_place, request, order_id, body), known
            )
        except TooManyOpenOrders as error:
            raise Problem(ProblemType.TOO_MANY_OPEN_ORDERS, str(error)) from None
        except AccountBlocked as error:
            raise invalid(str(error), [FieldError("/customer", "is blocked")]) from None
        except (UnknownProducts, TotalTooLarge) as error:
            raise not_sold(body, error) from None
        except PriceChanged as error:
            raise _price_changed(body, error) from None
        except ReferenceTaken as error:
            raise _reference_taken(request, error) from None
        if isinstance(outcome, Executed):
            order, lines = outcome.result.order, outcome.result.lines
        else:
            order = own_order(request, outcome.order_id)
            lines = list(order.lines.all())
        return answer(request, purpose, outcome, order, lines, settled=SETTLED, at_once=AS_PLACED)


def _place(request: Request, order_id: UUID, body: NewOrder) -> PlacedOrder:
    buyer = _buyer(request, body.customer)
    if buyer is not None and not grant_of(request).is_shop:
        enforce_open_order_limit(buyer)
    return place_order(
        order_id,
        buyer,
        body.quantities(),
        body.payment_method,
        reference=body.reference,
        expected=PriceExpectation(body.expected_total_minor, body.expected_currency),
    )


def _buyer(request: Request, named: str | None) -> User | None:
    """Find whom an order is for: its caller, or somebody for whom the shop's server calls.

    A customer of whom we hear for the first time comes to be together with the order. Raises
    ScopeMissing when a customer names somebody, and AccountBlocked.
    """
    if not grant_of(request).is_shop:
        if named is not None:
            raise ScopeMissing(Scope.SHOP)
        return caller(request)
    return customer_named(named) if named else None


def _price_changed(body: NewOrder, error: PriceChanged) -> Problem:
    return Problem(
        ProblemType.PRICE_CHANGED,
        "The cart does not cost what you expected. Nothing was ordered.",
        more={
            "expected": body.model_dump(
                include={"expected_total_minor", "expected_currency"}, exclude_none=True
            ),
            "total_minor": error.total_minor,
            "currency": error.currency,
            "items": [
                {"sku": sku, "quantity": quantity, "unit_price_minor": error.prices[sku]}
                for sku, quantity in body.quantities().items()
            ],
        },
    )


def _reference_taken(request: Request, error: ReferenceTaken) -> Problem:
    """Say where the order of this reference is, which is the caller's own."""
    found = own_orders(request).get(customer=error.customer_id, reference=error.reference)
    return Problem(
        ProblemType.REFERENCE_ALREADY_USED,
        "There is an order of this reference already. Nothing was ordered.",
        [FieldError("/reference", "is used")],
        headers={"Location": path_of(request, found.pk)},
        more={"order_id": str(found.pk)},
    )
