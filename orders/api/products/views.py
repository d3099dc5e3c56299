"""Listing the products for sale."""

from http import HTTPStatus
from typing import Final

from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.views import APIView

import inventory.services
from access.credentials import Scope
from access.permissions import Scopes
from orders.api.http.documentation.headers import LINK
from orders.api.http.documentation.operation import Operation, SuccessResponse, documented
from orders.api.http.etags import conditional_response
from orders.api.http.pagination import CursorSigner, link_header, page_url
from orders.api.http.query_params import parse_query
from orders.api.products.schemas import (
    EXAMPLE_PRODUCTS,
    Product,
    ProductListQuery,
    ProductPage,
)

_CURSORS: Final = CursorSigner("products")

_LIST_PRODUCTS: Final = Operation(
    "list_products",
    "Products",
    "List the products for sale",
    "Prices are set by the shop, in minor units. `available` is the quantity that could be ordered "
    "now; reading it reserves nothing. `next` is the next page; there is no count.",
    (
        SuccessResponse(
            HTTPStatus.OK,
            "One page of products, by SKU.",
            ProductPage,
            {"Two products on the only page": EXAMPLE_PRODUCTS},
            headers=(LINK,),
        ),
    ),
    query=ProductListQuery,
    is_conditional=True,
)


class ProductsView(APIView):
    scopes: Scopes = {"GET": Scope.READ}

    @documented(_LIST_PRODUCTS)
    def get(self, request: Request) -> HttpResponseBase:
        """List the products for sale by SKU, with the quantity that is available now."""
        query = parse_query(ProductListQuery, request)
        after = _CURSORS.read(query.cursor) if query.cursor is not None else ""
        products = inventory.services.catalogue(after=after, limit=query.page_size + 1)
        results = [Product.of(product) for product in products[: query.page_size]]
        has_more = len(products) > len(results)
        next_page = page_url(request, _CURSORS.write(results[-1].sku)) if has_more else None
        page = ProductPage(results=results, next=next_page)
        return conditional_response(request, page, link_header({"next": next_page}))
