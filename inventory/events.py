"""The events of stock."""

from events.event_types import EventType

STOCK_RESERVED = EventType("stock.reserved", 1, frozenset({"lines"}))
STOCK_RELEASED = EventType("stock.released", 1, frozenset({"lines"}))
