"""The response to a quote. The request is a ``Cart``."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Final, Self

from pydantic import Field

from orders import services
from orders.api.http.response_schemas import Currency, MinorUnits, ResponseSchema


class QuotedLine(ResponseSchema):
    """One line of a cart, as it would be ordered now."""

    sku: str
    name: str
    quantity: int
    unit_price_minor: MinorUnits
    line_total_minor: MinorUnits
    available: Annotated[bool, Field(description="Whether this quantity is available now.")]
    available_quantity: Annotated[
        int, Field(ge=0, description="The largest quantity that one order could have now.")
    ]


class Quote(ResponseSchema):
    """The price and availability of a cart at one moment. No stock is reserved."""

    items: Sequence[QuotedLine]
    total_minor: MinorUnits
    currency: Currency
    available: Annotated[bool, Field(description="Whether the whole cart is available now.")]
    quoted_at: datetime

    @classmethod
    def of(cls, quote: services.Quote) -> Self:
        lines = [
            QuotedLine(
                **asdict(line),
                line_total_minor=line.unit_price_minor * line.quantity,
                available=line.quantity <= quote.max_orderable[line.sku],
                available_quantity=quote.max_orderable[line.sku],
            )
            for line in quote.cart.lines
        ]
        return cls(
            items=lines,
            total_minor=quote.cart.total_minor,
            currency=quote.cart.currency,
            available=all(line.available for line in lines),
            quoted_at=quote.cart.priced_at,
        )


def _example_line(sku: str, name: str, quantity: int, unit_price_minor: int) -> QuotedLine:
    return QuotedLine(
        sku=sku,
        name=name,
        quantity=quantity,
        unit_price_minor=unit_price_minor,
        line_total_minor=unit_price_minor * quantity,
        available=True,
        available_quantity=40,
    )


EXAMPLE_QUOTE: Final = Quote(
    items=[
        _example_line("MUG-BLUE", "Mug, blue", 2, 1290),
        _example_line("TEE-M", "T-shirt, medium", 1, 2490),
    ],
    total_minor=5070,
    currency="eur",
    available=True,
    quoted_at=datetime(2026, 11, 21, 9, 30, tzinfo=UTC),
).as_json()
