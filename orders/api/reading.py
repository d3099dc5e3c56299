"""Reading orders."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.grants import Scope
from access.permissions import Scopes
from orders.api import representations
from orders.api.callers import own_order, path_of
from orders.customer_timeline import customer_timelines


class OrderDetail(APIView):
    scopes: Scopes = {"GET": Scope.READ}

    def get(self, request: Request, order_id: UUID) -> Response:
        """Show one of the caller's orders."""
        order = own_order(request, order_id)
        path = path_of(request, order.pk)
        return Response(representations.Order.of(order, order.lines.all(), path).as_json())


class Timeline(APIView):
    scopes: Scopes = {"GET": Scope.READ}

    def get(self, request: Request, order_id: UUID) -> Response:
        """Show everything that happened to one of the caller's orders, oldest first."""
        order = own_order(request, order_id)
        entries = [
            representations.TimelineEntry.of(each) for each in customer_timelines([order])[order.pk]
        ]
        return Response(representations.Timeline(entries=entries).as_json())
