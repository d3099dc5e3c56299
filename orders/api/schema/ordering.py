"""Buying: the catalogue, orders, cancels."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from orders.api.parsing import NewOrder
from orders.api.representations import Order, ProductList
from orders.api.schema.examples import CART, CONFIRMED, DECLINED, PLACED, PRODUCTS
from orders.api.schema.headers import (
    ETAG,
    IDEMPOTENCY_KEY,
    IDEMPOTENCY_REPLAYED,
    IF_NONE_MATCH,
    LOCATION,
    PREFER,
    PREFERENCE_APPLIED,
    RETRY_AFTER,
)
from orders.api.schema.operation import Answer, Operation
from orders.api.schema.reading import NOT_MODIFIED, OF_READING

_PLACED: Final = (LOCATION, PREFERENCE_APPLIED, IDEMPOTENCY_REPLAYED)

ORDERING: Final[Mapping[str, Operation]] = {
    "GET /api/v1/products": Operation(
        "list_products",
        "Buying",
        "List what is for sale",
        "Prices are ours, in minor units, and `available` is what could be ordered at this moment: "
        "nothing is held by looking.",
        (
            Answer(
                HTTPStatus.OK,
                "Everything that is for sale, by SKU.",
                ProductList,
                {"Two products": PRODUCTS},
                headers=(ETAG,),
            ),
            NOT_MODIFIED,
        ),
        parameters=(IF_NONE_MATCH,),
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
    ),
}
