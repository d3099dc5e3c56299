"""What becomes true of stock."""

from events.facts import FactType

STOCK_RESERVED = FactType("stock.reserved", 1, frozenset({"lines"}))
STOCK_RELEASED = FactType("stock.released", 1, frozenset({"lines"}))
