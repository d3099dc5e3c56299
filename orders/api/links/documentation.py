"""Guests: a link to one order, and what it opens."""

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from orders.api.http.documentation.operation import Answer, Operation
from orders.api.http.request_schemas import NewLink
from orders.api.http.response_schemas import Link
from orders.api.orders.documentation import FOLLOWING
from orders.api.orders.examples import LINK

_ORDER: Final = "/api/v1/orders/{order_id}"


def _by_link(operation: Operation) -> Operation:
    return replace(
        operation,
        name=f"{operation.name}_by_link",
        topic="Guests",
        summary=f"{operation.summary}, by a link",
        description=f"{operation.description} No token is asked for: the link is all that counts.",
    )


GUESTS: Final[Mapping[str, Operation]] = {
    f"POST {_ORDER}/links": Operation(
        "make_link",
        "Guests",
        "Make a link to an order",
        "For somebody without an account: whoever has the link may read this order until it "
        "expires, and may cancel it if you say so. Nothing is stored, so no key is asked for: "
        "each call makes another link.",
        (Answer(HTTPStatus.CREATED, "The link.", Link, {"For 30 days": LINK}),),
        NewLink,
        {"A week, to read only": {"days": 7, "may_cancel": False}},
    ),
    f"DELETE {_ORDER}/links": Operation(
        "revoke_links",
        "Guests",
        "Revoke all links to an order",
        "Those that were made until now open nothing any more.",
        (Answer(HTTPStatus.NO_CONTENT, "No link that was made before works any more."),),
    ),
    **{
        place.replace(_ORDER, "/api/v1/guest/orders/{token}"): _by_link(operation)
        for place, operation in FOLLOWING.items()
    },
}
