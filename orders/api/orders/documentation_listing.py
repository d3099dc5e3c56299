"""Finding orders among all of them."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from orders.api.http.documentation.headers import ETAG, IF_NONE_MATCH, LINK
from orders.api.http.documentation.operation import Answer, Operation
from orders.api.http.documentation.query_parameters import parameters_of
from orders.api.http.documentation.reading import NOT_MODIFIED, OF_READING
from orders.api.http.query_params import OrdersQuery
from orders.api.http.response_schemas import OrderPage
from orders.api.orders.examples import ORDERS, ORDERS_OF_ALICE

LISTING: Final[Mapping[str, Operation]] = {
    "GET /api/v1/orders": Operation(
        "list_orders",
        "Following",
        "List your orders",
        "Newest first, in pages that do not shift while orders come in. `next` and `previous` lead "
        "to the pages beside this one, with the same filters; there is no count. Items, timelines "
        "and payments are shown where `expand` asks for them. The shop's own server is told whose "
        "each order is, and may ask for one customer's.",
        (
            Answer(
                HTTPStatus.OK,
                "One page of orders.",
                OrderPage,
                {
                    "The only page": ORDERS,
                    "For the shop: one customer": ORDERS_OF_ALICE,
                },
                headers=(ETAG, LINK),
            ),
            NOT_MODIFIED,
        ),
        parameters=(*parameters_of(OrdersQuery), IF_NONE_MATCH),
        problems=OF_READING,
    ),
}
