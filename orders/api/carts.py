"""The cart in requests for quotes and orders: its schema, and the problems of pricing it."""

from typing import Annotated, Final, get_args

from pydantic import Field

from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import FieldError, Problem
from orders.api.http.request_schemas import RequestSchema, invalid_request
from orders.api.http.text_format import TextFormat
from orders.errors import (
    TotalBelowMinimum,
    TotalTooLarge,
    UnchargeablePrices,
    UnknownProducts,
)

MAX_CART_LINES: Final = 100
MAX_LINE_QUANTITY: Final = 9_999

Sku = Annotated[
    str,
    TextFormat(
        r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", "a SKU has letters, digits and ._-, 64 at most"
    ),
]


class CartLine(RequestSchema):
    sku: Sku
    quantity: Annotated[int, Field(ge=1, le=MAX_LINE_QUANTITY)]


class Cart(RequestSchema):
    """What a customer wants to buy. It has no prices: the server sets them."""

    items: Annotated[list[CartLine], Field(min_length=1, max_length=MAX_CART_LINES)]

    def quantities(self) -> dict[str, int]:
        """Return the quantity of each SKU, in the order of the lines; repeated SKUs are added up."""
        totals: dict[str, int] = {}
        for line in self.items:
            totals[line.sku] = totals.get(line.sku, 0) + line.quantity
        return totals


CartError = UnknownProducts | UnchargeablePrices | TotalBelowMinimum | TotalTooLarge
CART_ERRORS: Final = get_args(CartError)
"""Why a cart can neither be quoted nor ordered."""


def cart_problem(cart: Cart, error: CartError) -> Problem:
    """Return a problem that points to what cannot be bought."""
    match error:
        case TotalBelowMinimum():
            return Problem(
                ProblemType.TOTAL_BELOW_MINIMUM,
                "The cart costs less than the smallest amount that can be charged.",
                [FieldError("/items", "costs too little")],
                extensions={
                    "total_minor": error.total_minor,
                    "minimum_minor": error.minimum_minor,
                    "currency": error.currency,
                },
            )
        case TotalTooLarge():
            return invalid_request(
                "The cart costs more than the largest amount that can be charged.",
                [FieldError("/items", "costs too much")],
            )
        case UnchargeablePrices():
            text, detail = "has a price that cannot be charged", "The shop has to correct a price."
        case UnknownProducts():
            text, detail = "is not for sale", "The cart has products that are not for sale."
    errors = [
        FieldError(f"/items/{position}/sku", f"{line.sku} {text}")
        for position, line in enumerate(cart.items)
        if line.sku in error.skus
    ]
    return invalid_request(detail, errors)


EXAMPLE_CART: Final = {
    "items": [{"sku": "MUG-BLUE", "quantity": 2}, {"sku": "TEE-M", "quantity": 1}]
}
