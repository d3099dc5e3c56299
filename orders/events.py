"""The events of orders."""

from typing import Annotated

from pydantic import Field

from events.event_types import Currency, MinorUnits, OrderedItem, Payload


class OrderPlaced(Payload, name="order.placed", version=1):
    """A customer has placed an order. Nothing is reserved or paid yet."""

    total_minor: MinorUnits
    currency: Currency
    lines: list[OrderedItem]


class OrderConfirmed(Payload, name="order.confirmed", version=1):
    """The order's stock is held and its payment authorized: it can be fulfilled."""

    total_minor: MinorUnits
    currency: Currency


Reason = Annotated[str, Field(description="The code of the reason; empty if none was recorded.")]


class OrderConfirmationWithdrawn(Payload, name="order.confirmation_withdrawn", version=1):
    """A confirmed order is cancelled: what was begun for it must be undone."""

    reason: Reason


class OrderCancelled(Payload, name="order.cancelled", version=1):
    """The order is cancelled, and all that was done for it is compensated."""

    reason: Reason
