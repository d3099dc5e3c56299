"""The body of a request to pay an order by another method."""

from typing import Annotated, Final
from uuid import UUID

from orders.api.http.request_schemas import RequestSchema
from orders.api.http.text_format import TextFormat
from orders.api.orders.examples import NEW_ORDER
from orders.api.orders.request_schemas import PaymentMethod

PaymentId = Annotated[
    str, TextFormat(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "the id of a payment, a UUID")
]


class AnotherPayment(RequestSchema):
    """What a storefront sends to pay an order by another method."""

    payment_method: PaymentMethod
    # The payment that the customer does not authenticate any more: ``payment_id`` of ``next_action``.
    replaces: PaymentId | None = None

    @property
    def replaced_id(self) -> UUID | None:
        return UUID(self.replaces) if self.replaces else None


EXAMPLE: Final = {"payment_method": NEW_ORDER["payment_method"]}
