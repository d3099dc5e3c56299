"""Buying: the catalogue, orders, cancels."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from orders.api.http.documentation.headers import (
    ETAG,
    IDEMPOTENCY_KEY,
    IDEMPOTENCY_REPLAYED,
    IF_NONE_MATCH,
    LINK,
    LOCATION,
    PREFER,
    PREFERENCE_APPLIED,
    RETRY_AFTER,
)
from orders.api.http.documentation.operation import Answer, Operation
from orders.api.http.documentation.query_parameters import parameters_of
from orders.api.http.documentation.reading import NOT_MODIFIED, OF_READING
from orders.api.http.problem_types import ProblemType
from orders.api.http.query_params import ProductsQuery
from orders.api.http.request_schemas import Cart, NewOrder
from orders.api.http.response_schemas import Order, ProductPage, Quote
from orders.api.orders.examples import CART, CONFIRMED, DECLINED, PLACED, PRODUCTS, QUOTE

_PLACED: Final = (LOCATION, PREFERENCE_APPLIED, IDEMPOTENCY_REPLAYED)

ORDERING: Final[Mapping[str, Operation]] = {
    "GET /api/v1/products": Operation(
        "list_products",
        "Buying",
        "List what is for sale",
        "Prices are ours, in minor units, and `available` is what could be ordered at this moment: "
        "nothing is held by looking. `next` leads to the products that follow; there is no count.",
        (
            Answer(
                HTTPStatus.OK,
                "One page of what is for sale, by SKU.",
                ProductPage,
                {"Two products, which are all": PRODUCTS},
                headers=(ETAG, LINK),
            ),
            NOT_MODIFIED,
        ),
        parameters=(*parameters_of(ProductsQuery), IF_NONE_MATCH),
        problems=OF_READING,
    ),
    "POST /api/v1/orders": Operation(
        "place_order",
        "Buying",
        "Place an order",
        "An order that was accepted ends: confirmed, with its stock held and its money set aside, "
        "or cancelled with everything undone. A refused card and an empty shelf are no errors of "
        "the request, but reasons of a cancelled order. With `Prefer: wait=5` the answer is 201 if "
        "the order got there in that time; otherwise it is 202, and the order goes on.",
        (
            Answer(
                HTTPStatus.CREATED,
                "The order got there while we waited: confirmed or cancelled.",
                Order,
                {"Confirmed": CONFIRMED, "Declined": DECLINED},
                headers=_PLACED,
            ),
            Answer(
                HTTPStatus.ACCEPTED,
                "The order is accepted, and will end. Read it at `Location`.",
                Order,
                {"Accepted": PLACED},
                headers=(*_PLACED, RETRY_AFTER),
            ),
        ),
        NewOrder,
        {"Two mugs and a T-shirt": CART},
        (IDEMPOTENCY_KEY, PREFER),
        (
            ProblemType.REFERENCE_ALREADY_USED,
            ProblemType.TOO_MANY_OPEN_ORDERS,
            ProblemType.PRICE_CHANGED,
        ),
    ),
    "POST /api/v1/quotes": Operation(
        "quote",
        "Buying",
        "Ask what a cart costs",
        "Prices and availability of one moment: nothing is held, nothing written, and so no "
        "`Idempotency-Key` is asked for, and one that is sent is not read. `available_quantity` is "
        "the most that one order could have, which is served from one warehouse. To buy at the "
        "price that the customer saw, send `total_minor` and `currency` as `expected_total_minor` "
        "and `expected_currency` of the order.",
        (
            Answer(
                HTTPStatus.OK,
                "What the cart costs, and whether it can be had.",
                Quote,
                {"All of it can be had": QUOTE},
            ),
        ),
        Cart,
        {"Two mugs and a T-shirt": {"items": CART["items"]}},
    ),
}
