"""What is for sale."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

import inventory.services
from access.grants import Scope
from access.permissions import Scopes
from orders.api.representations import Product, ProductList


class Products(APIView):
    scopes: Scopes = {"GET": Scope.READ}

    def get(self, _: Request) -> Response:
        """Show what is for sale, and how much of it is available now."""
        found = ProductList(results=[Product.of(each) for each in inventory.services.catalogue()])
        return Response(found.as_json())
