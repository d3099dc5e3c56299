"""The order endpoints in the OpenAPI document."""

from http import HTTPStatus
from typing import Any, Final

from orders.api.http.documentation.headers import LAST_EVENT_ID, LINK, LOCATION, RETRY_AFTER
from orders.api.http.documentation.operation import Operation, SuccessResponse
from orders.api.http.problem_types import ProblemType
from orders.api.http.query_params import QueryParams
from orders.api.http.request_schemas import EmptyBody
from orders.api.http.sse import MEDIA_TYPE
from orders.api.orders import examples
from orders.api.orders.request_schemas import NewOrder, OrderListQuery, OrderQuery
from orders.api.orders.response_schemas import (
    CANCEL_REQUESTED,
    WAITING,
    Order,
    OrderPage,
    Timeline,
)
from orders.states import OrderStatus

TAG: Final = "Orders"

LIST_ORDERS: Final = Operation(
    "list_orders",
    TAG,
    "List your orders",
    "Newest first, in pages that do not shift while new orders come in. `next` and `previous` are the "
    "neighbouring pages with the same filters; there is no count. Items, timelines and payments are "
    "included if `expand` names them. The shop's server sees the customer of each order, and can "
    "filter by customer.",
    (
        SuccessResponse(
            HTTPStatus.OK,
            "One page of orders.",
            OrderPage,
            {
                "The only page": examples.ORDERS,
                "For the shop: one customer": examples.ORDERS_OF_ALICE,
            },
            headers=(LINK,),
        ),
    ),
    query=OrderListQuery,
    is_conditional=True,
)

PLACE_ORDER: Final = Operation(
    "place_order",
    TAG,
    "Place an order",
    "Each accepted order ends: confirmed, with its stock reserved and its payment authorized, or "
    "cancelled with nothing reserved or charged. A declined card and missing stock are not errors of the "
    "request, but reasons of a cancelled order. With `Prefer: wait=5` the response is 201 if the "
    "order settles in that time; otherwise it is 202, and the order continues.",
    (
        SuccessResponse(
            HTTPStatus.CREATED,
            "The order settled while the server waited: confirmed or cancelled.",
            Order,
            {"Confirmed": examples.CONFIRMED, "Declined": examples.DECLINED},
            headers=(LOCATION,),
        ),
        SuccessResponse(
            HTTPStatus.ACCEPTED,
            "The order is accepted and will settle. Read it at `Location`.",
            Order,
            {"Accepted": examples.PLACED},
            headers=(LOCATION, RETRY_AFTER),
        ),
    ),
    body=NewOrder,
    body_examples={"Two mugs and a T-shirt": examples.NEW_ORDER},
    problems=(
        ProblemType.REFERENCE_ALREADY_USED,
        ProblemType.TOO_MANY_OPEN_ORDERS,
        ProblemType.PRICE_CHANGED,
        ProblemType.TOTAL_BELOW_MINIMUM,
    ),
    is_idempotent=True,
    can_wait=True,
)

READ_ORDER: Final = Operation(
    "read_order",
    TAG,
    "Read one order",
    "One of your orders. The order of another customer gets the same 404 as an unknown one.",
    (
        SuccessResponse(
            HTTPStatus.OK,
            "The order as it is now.",
            Order,
            {
                "Confirmed": examples.CONFIRMED,
                "Declined": examples.DECLINED,
                "Waiting for its customer to authenticate": examples.TO_AUTHENTICATE,
                "Waiting for another payment": examples.ANOTHER_PAYMENT_NEEDED,
            },
        ),
    ),
    query=OrderQuery,
    is_conditional=True,
)

READ_TIMELINE: Final = Operation(
    "read_timeline",
    TAG,
    "Read the timeline of an order",
    "Each status change, each step and each wait, oldest first: a code for programs and a sentence for "
    "the customer.",
    (
        SuccessResponse(
            HTTPStatus.OK, "The events so far.", Timeline, {"Confirmed": examples.TIMELINE}
        ),
    ),
    query=QueryParams,
    is_conditional=True,
)

EVENT_STREAM_SCHEMA: Final[dict[str, Any]] = {
    "description": "The stream as text; tools that parse streams find events in it.",
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {
                "id": {
                    "type": "string",
                    "description": "Send it unchanged as `Last-Event-ID`.",
                },
                "event": {"enum": [*OrderStatus.values, CANCEL_REQUESTED, WAITING, "end"]},
                "data": {"type": "string", "contentMediaType": "application/json"},
            },
            "required": ["event", "data"],
        },
    ],
}

FOLLOW_ORDER: Final = Operation(
    "follow_order",
    TAG,
    "Follow an order live",
    "Server-sent events, as a browser's `EventSource` reads them: first the current status; then each "
    "status change under the name of the status; `cancel_requested` when a cancellation is accepted; "
    "`waiting` when the order waits for something else, or for nothing any more (`waiting_for`); `end` "
    "once the order has ended. A stream lasts at most ten seconds, with a comment "
    "every three. When it ends earlier than the order, reconnect with `Last-Event-ID`: no event is "
    "lost. Streams are limited: the response is 503 when the server has reached its limit, and 429 "
    "when the customer has; read the order repeatedly instead.",
    (
        SuccessResponse(
            HTTPStatus.OK,
            "The stream. Data are JSON: `order_id`, `status`, `version`, `at`, "
            "`cancel_requested_at`, `reason`, `reason_code` and `waiting_for`.",
            EVENT_STREAM_SCHEMA,
            {"Confirmed during the stream": examples.EVENTS},
            media_type=MEDIA_TYPE,
        ),
        SuccessResponse(
            HTTPStatus.NO_CONTENT, "The order has ended, and the client has received all events."
        ),
    ),
    query=QueryParams,
    headers=(LAST_EVENT_ID,),
    problems=(ProblemType.TOO_MANY_CUSTOMER_STREAMS, ProblemType.TOO_MANY_STREAMS),
)

CANCEL_ORDER: Final = Operation(
    "cancel_order",
    TAG,
    "Cancel an order",
    "Works in any status: the payment is voided or refunded, and the stock is released. A running call "
    "to the payment provider is not interrupted; the cancellation continues after its result.",
    (
        SuccessResponse(
            HTTPStatus.OK,
            "The order is cancelled: no stock is reserved, and no money is held or taken.",
            Order,
            {"Cancelled": examples.CANCELLED},
            headers=(LOCATION,),
        ),
        SuccessResponse(
            HTTPStatus.ACCEPTED,
            "The order will be cancelled: see `cancel_requested_at`, whatever its status still is.",
            Order,
            {
                "Being cancelled": examples.CANCELLING,
                "During a call to the payment provider": examples.CANCEL_REQUESTED,
            },
            headers=(LOCATION, RETRY_AFTER),
        ),
    ),
    body=EmptyBody,
    body_examples={"No fields": {}},
    problems=(ProblemType.TRANSITION_NOT_ALLOWED,),
    is_idempotent=True,
    can_wait=True,
)
