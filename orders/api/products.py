"""What is for sale."""

from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.views import APIView

import inventory.services
from access.grants import Scope
from access.permissions import Scopes
from orders.api.etags import unless_known
from orders.api.queries import NoQuery, parse_query
from orders.api.representations import Product, ProductList


class Products(APIView):
    scopes: Scopes = {"GET": Scope.READ}

    def get(self, request: Request) -> HttpResponseBase:
        """Show what is for sale, and how much of it is available now."""
        parse_query(NoQuery, request)
        found = inventory.services.catalogue()
        return unless_known(request, ProductList(results=[Product.of(each) for each in found]))
