"""The events of stock."""

from events.event_types import OrderedItem, Payload


class StockReserved(Payload, name="stock.reserved", version=1):
    """All items of an order are reserved."""

    lines: list[OrderedItem]


class StockReleased(Payload, name="stock.released", version=1):
    """Items that were reserved for an order are available again."""

    lines: list[OrderedItem]
