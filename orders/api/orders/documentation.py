"""What happens to an order after it was placed, and taking it back."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from orders.api.http.documentation.headers import (
    ETAG,
    IDEMPOTENCY_KEY,
    IDEMPOTENCY_REPLAYED,
    IF_NONE_MATCH,
    LAST_EVENT_ID,
    LOCATION,
    PREFER,
    PREFERENCE_APPLIED,
    RETRY_AFTER,
)
from orders.api.http.documentation.operation import Answer, Operation
from orders.api.http.documentation.query_parameters import parameters_of
from orders.api.http.documentation.reading import NOT_MODIFIED, OF_READING
from orders.api.http.problem_types import ProblemType
from orders.api.http.query_params import ExpandQuery
from orders.api.http.request_schemas import Nothing
from orders.api.http.response_schemas import CANCEL_REQUESTED, Order, Timeline
from orders.api.orders.examples import (
    ASKED,
    CANCELLED,
    CANCELLING,
    CONFIRMED,
    DECLINED,
    EVENTS,
    TIMELINE,
)
from orders.states import OrderStatus

EVENT_STREAM: Final[dict[str, Any]] = {
    "description": "The stream as a text; tools that read streams find events in it.",
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {
                "id": {"type": "string", "description": "To be sent as `Last-Event-ID`, as it is."},
                "event": {"enum": [*OrderStatus.values, CANCEL_REQUESTED, "end"]},
                "data": {"type": "string", "contentMediaType": "application/json"},
            },
            "required": ["event", "data"],
        },
    ],
}

FOLLOWING: Final[Mapping[str, Operation]] = {
    "GET /api/v1/orders/{order_id}": Operation(
        "read_order",
        "Following",
        "Read one order",
        "An order of yours; anybody else's is answered as one that never was.",
        (
            Answer(
                HTTPStatus.OK,
                "The order as it stands now.",
                Order,
                {"Confirmed": CONFIRMED, "Declined": DECLINED},
                headers=(ETAG,),
            ),
            NOT_MODIFIED,
        ),
        parameters=(*parameters_of(ExpandQuery), IF_NONE_MATCH),
        problems=OF_READING,
    ),
    "GET /api/v1/orders/{order_id}/timeline": Operation(
        "read_timeline",
        "Following",
        "Read what happened to an order",
        "Every move and every try, oldest first, in words for the customer.",
        (
            Answer(
                HTTPStatus.OK,
                "What happened so far.",
                Timeline,
                {"Confirmed": TIMELINE},
                headers=(ETAG,),
            ),
            NOT_MODIFIED,
        ),
        parameters=(IF_NONE_MATCH,),
        problems=OF_READING,
    ),
    "GET /api/v1/orders/{order_id}/events": Operation(
        "follow_order",
        "Following",
        "Follow an order live",
        "Server-sent events, as a browser's `EventSource` reads them: how the order stands, at once; "
        "then each of its moves, under its status, and `cancel_requested` where it was accepted that it "
        "be cancelled; `end` once the order got there. A stream lasts ten seconds at most and something is written every three; when it "
        "ends before the order did, come back with `Last-Event-ID`, and nothing is missed. Streams "
        "are few: where there are none left the answer is 503, where you have had your share 429, and "
        "reading the order now and then does as well.",
        (
            Answer(
                HTTPStatus.OK,
                "The stream. Data are JSON: `order_id`, `status`, `version`, `at`, "
                "`cancel_requested_at`, `reason` and `reason_code`.",
                EVENT_STREAM,
                {"Confirmed while we watched": EVENTS},
                media_type="text/event-stream",
            ),
            Answer(HTTPStatus.NO_CONTENT, "The order got there, and you have seen it."),
        ),
        parameters=(LAST_EVENT_ID,),
        problems=(
            ProblemType.INVALID_QUERY,
            ProblemType.TOO_MANY_OWN_STREAMS,
            ProblemType.TOO_MANY_STREAMS,
        ),
    ),
    "POST /api/v1/orders/{order_id}/cancel": Operation(
        "cancel_order",
        "Following",
        "Cancel an order",
        "Whatever it is at: its money goes back, and its stock to the shelf. A call to the bank "
        "that is being made is not interrupted; the order turns back when it has been answered.",
        (
            Answer(
                HTTPStatus.OK,
                "The order is cancelled, and everything is undone.",
                Order,
                {"Cancelled": CANCELLED},
                headers=(LOCATION, PREFERENCE_APPLIED, IDEMPOTENCY_REPLAYED),
            ),
            Answer(
                HTTPStatus.ACCEPTED,
                "The order will be cancelled: see `cancel_requested_at`, whatever its status still is.",
                Order,
                {"Turning back": CANCELLING, "While the bank is being asked": ASKED},
                headers=(LOCATION, PREFERENCE_APPLIED, IDEMPOTENCY_REPLAYED, RETRY_AFTER),
            ),
        ),
        Nothing,
        {"Nothing needs to be said": {}},
        (IDEMPOTENCY_KEY, PREFER),
        (ProblemType.TRANSITION_NOT_ALLOWED,),
    ),
}
