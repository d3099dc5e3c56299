"""Quoting a cart."""

from http import HTTPStatus
from typing import Final

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.credentials import Scope
from access.permissions import Scopes
from access.rates import Rate
from access.throttling import Rates
from orders.api.carts import CART_ERRORS, EXAMPLE_CART, Cart, cart_problem
from orders.api.http.documentation.operation import Operation, SuccessResponse, documented
from orders.api.http.problem_types import ProblemType
from orders.api.http.request_schemas import parse_body
from orders.api.quotes.schemas import EXAMPLE_QUOTE, Quote
from orders.services import quote_cart

_CREATE_QUOTE: Final = Operation(
    "quote",
    "Quotes",
    "Get the price of a cart",
    "Returns the prices and the availability of one moment. It reserves no stock and stores nothing, "
    "so it needs no `Idempotency-Key` and ignores one. `available_quantity` is the most that one "
    "order could have: an order ships from one warehouse. To buy at these prices, send `total_minor` "
    "and `currency` as `expected_total_minor` and `expected_currency` of the order.",
    (
        SuccessResponse(
            HTTPStatus.OK,
            "The price of the cart, and whether it is available.",
            Quote,
            {"Everything is available": EXAMPLE_QUOTE},
        ),
    ),
    body=Cart,
    body_examples={"Two mugs and a T-shirt": EXAMPLE_CART},
    problems=(ProblemType.TOTAL_BELOW_MINIMUM,),
)


class QuotesView(APIView):
    scopes: Scopes = {"POST": Scope.READ}
    rates: Rates = {"POST": Rate.QUOTES}

    @documented(_CREATE_QUOTE)
    def post(self, request: Request) -> Response:
        """Return price and availability of a cart. Changes nothing, so it needs no key."""
        cart = parse_body(Cart, request)
        try:
            quote = quote_cart(cart.quantities())
        except CART_ERRORS as error:
            raise cart_problem(cart, error) from None
        return Response(Quote.of(quote).as_json())
