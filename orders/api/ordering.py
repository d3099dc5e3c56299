"""Placing an order."""

from django.contrib.auth.models import User
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.accounts import AccountBlocked, customer_named
from access.errors import ScopeMissing
from access.grants import Scope
from access.permissions import Scopes
from access.rates import Rate
from access.throttling import Rates
from orders.api.answers import accepted_or_settled
from orders.api.callers import caller, grant_of, own_order
from orders.api.idempotency import Acted, once
from orders.api.parsing import NewOrder, invalid, parse_body
from orders.api.problems import FieldError
from orders.errors import TotalTooLarge, UnknownProducts
from orders.services import PlacedOrder, place_order
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
        order_id = new_id()

        def place() -> PlacedOrder:
            buyer = _buyer(request, body.customer)
            return place_order(order_id, buyer, body.quantities(), body.payment_method)

        try:
            # Without what is not asked for: fields that are added leave old fingerprints as they are.
            asked = body.model_dump(exclude_none=True)
            outcome = once(request, caller(request), asked, order_id, place)
        except AccountBlocked as error:
            raise invalid(str(error), [FieldError("/customer", "is blocked")]) from None
        except UnknownProducts as error:
            raise _unknown_products(body, error) from None
        except TotalTooLarge as error:
            raise invalid(str(error), [FieldError("/items", "costs too much")]) from None
        if isinstance(outcome, Acted):
            placed = outcome.result
            return accepted_or_settled(request, placed.order, placed.lines, SETTLED)
        order = own_order(request, outcome.order_id)
        return accepted_or_settled(request, order, order.lines.all(), SETTLED, is_replay=True)


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


def _unknown_products(body: NewOrder, error: UnknownProducts) -> Exception:
    errors = [
        FieldError(f"/items/{position}/sku", f"{line.sku} is not for sale")
        for position, line in enumerate(body.items)
        if line.sku in error.skus
    ]
    return invalid("The cart has products that are not for sale.", errors)
