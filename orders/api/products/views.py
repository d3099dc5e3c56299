"""What is for sale."""

from typing import Final

from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.views import APIView

import inventory.services
from access.credentials import Scope
from access.permissions import Scopes
from orders.api.http.etags import unless_known
from orders.api.http.pagination import Cursors, link_header, url_of
from orders.api.http.query_params import ProductsQuery, parse_query
from orders.api.http.response_schemas import Product, ProductPage

CURSORS: Final = Cursors("products")


class Products(APIView):
    scopes: Scopes = {"GET": Scope.READ}

    def get(self, request: Request) -> HttpResponseBase:
        """Show what is for sale, by SKU, and how much of it is available now."""
        query = parse_query(ProductsQuery, request)
        after = CURSORS.read(query.cursor) if query.cursor is not None else ""
        found = inventory.services.catalogue(after=after, most=query.page_size + 1)
        shown = [Product.of(each) for each in found[: query.page_size]]
        has_more = len(found) > len(shown)
        following = url_of(request, CURSORS.write(shown[-1].sku)) if has_more else None
        page = ProductPage(results=shown, next=following)
        return unless_known(request, page, link_header({"next": following}))
