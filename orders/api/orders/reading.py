"""Reading one order."""

from uuid import UUID

from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.views import APIView

from access.credentials import Scope
from access.permissions import Scopes
from orders.api.http import response_schemas as representations
from orders.api.http.auth_context import own_order
from orders.api.http.etags import unless_known
from orders.api.http.query_params import ExpandQuery, NoQuery, parse_query
from orders.api.orders.expansions import expanded
from orders.customer_timeline import customer_timelines


class OrderDetail(APIView):
    scopes: Scopes = {"GET": Scope.READ}

    def get(self, request: Request, order_id: UUID) -> HttpResponseBase:
        """Show one of the caller's orders, always with its items."""
        query = parse_query(ExpandQuery, request)
        order = own_order(request, order_id)
        [shown] = expanded(request, [order], query.expand | {"items"})
        return unless_known(request, shown)


class Timeline(APIView):
    scopes: Scopes = {"GET": Scope.READ}

    def get(self, request: Request, order_id: UUID) -> HttpResponseBase:
        """Show everything that happened to one of the caller's orders, oldest first."""
        parse_query(NoQuery, request)
        order = own_order(request, order_id)
        told = customer_timelines([order])[order.pk]
        entries = [representations.TimelineEntry.of(each) for each in told]
        return unless_known(request, representations.Timeline(entries=entries))
