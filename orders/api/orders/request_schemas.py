"""Bodies and query parameters of the order endpoints."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

import payments.services
from access.accounts import USERNAME
from orders.api.carts import Cart
from orders.api.http.query_params import (
    CommaSeparated,
    Cursor,
    PageSize,
    QueryParams,
    Timestamp,
)
from orders.api.http.request_schemas import MAX_INTEGER
from orders.api.http.text_format import TextFormat
from orders.models import REFERENCE
from orders.states import OrderStatus

CustomerName = Annotated[
    str,
    TextFormat(USERNAME, "the shop's name of a customer: letters, digits and @.+-_, 150 at most"),
]
Reference = Annotated[str, TextFormat(REFERENCE, "letters, digits and ._:-, 64 at most")]


def _accepted_by_a_provider(reference: str) -> str:
    if not payments.services.is_payment_method(reference):
        hint = payments.services.payment_method_hint()
        raise PydanticCustomError("text_format", "Expected: {hint}", {"hint": hint})
    return reference


PaymentMethod = Annotated[
    str,
    TextFormat(r"^[!-~]{1,255}$", "1 to 255 printable ASCII characters"),
    AfterValidator(_accepted_by_a_provider),
]
CurrencyCode = Annotated[str, TextFormat(r"^[a-z]{3}$", "three lower-case letters, such as eur")]


class NewOrder(Cart):
    """What a storefront sends to place an order."""

    payment_method: PaymentMethod
    # For the shop's server: the customer for whom it buys, by the shop's own name.
    customer: CustomerName | None = None
    # The storefront's own name for the order. A customer can use it for one order only.
    reference: Reference | None = None
    # The total that the customer saw. The order is refused when the current total differs.
    expected_total_minor: Annotated[int, Field(ge=0, le=MAX_INTEGER)] | None = None
    expected_currency: CurrencyCode | None = None


Expansion = Literal["items", "timeline", "payments"]


class OrderQuery(QueryParams):
    expand: Annotated[
        frozenset[Expansion],
        Field(min_length=1),
        CommaSeparated,
        Field(description="What to include: several with commas, or as repeated parameters."),
    ] = frozenset()


class OrderListQuery(OrderQuery):
    status: Annotated[
        frozenset[OrderStatus],
        Field(min_length=1),
        CommaSeparated,
        Field(
            description="Orders with one of these: several with commas, or as repeated parameters."
        ),
    ] = frozenset()
    created_after: Annotated[
        Timestamp | None, Field(description="Orders placed at this time (RFC 3339) or later.")
    ] = None
    created_before: Annotated[
        Timestamp | None, Field(description="Orders placed before this time (RFC 3339).")
    ] = None
    reference: Annotated[
        Reference | None, Field(description="The order with this `reference`.")
    ] = None
    customer: Annotated[
        CustomerName | None,
        Field(description="Orders of this customer. Needs a token with the scope `shop`."),
    ] = None
    page_size: Annotated[PageSize, Field(description="Orders per page.")] = 20
    cursor: Annotated[
        Cursor | None, Field(description="Where the page begins: from `next` and `previous`.")
    ] = None
