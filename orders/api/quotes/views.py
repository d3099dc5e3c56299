"""What a cart costs and whether it can be had, before anybody buys it."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.credentials import Scope
from access.permissions import Scopes
from access.rates import Rate
from access.throttling import Rates
from orders.api.http.request_schemas import Cart, not_sold, parse_body
from orders.api.http.response_schemas import Quote
from orders.errors import TotalTooLarge, UnknownProducts
from orders.services import quote


class Quotes(APIView):
    scopes: Scopes = {"POST": Scope.READ}
    rates: Rates = {"POST": Rate.QUOTES}

    def post(self, request: Request) -> Response:
        """Say what a cart costs and whether it can be had now. Nothing is held, nothing written.

        An Idempotency-Key is neither needed nor read: asking again is harmless.
        """
        body = parse_body(Cart, request)
        try:
            quoted = quote(body.quantities())
        except (UnknownProducts, TotalTooLarge) as error:
            raise not_sold(body, error) from None
        return Response(Quote.of(quoted).as_json())
