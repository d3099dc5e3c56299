"""Reading orders."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.grants import Scope
from access.permissions import Scopes
from orders.api.callers import own_order
from orders.api.representations import order_as_json
from orders.timeline import timeline


class OrderDetail(APIView):
    scopes: Scopes = {"GET": Scope.READ}

    def get(self, request: Request, order_id: UUID) -> Response:
        """Show one of the caller's orders."""
        order = own_order(request, order_id)
        return Response(order_as_json(order, order.lines.all()))


class Timeline(APIView):
    scopes: Scopes = {"GET": Scope.READ}

    def get(self, request: Request, order_id: UUID) -> Response:
        """Show everything that happened to one of the caller's orders, oldest first."""
        return Response({"entries": timeline(own_order(request, order_id))})
