"""What becomes true of orders."""

from events.facts import FactType

ORDER_PLACED = FactType("order.placed", 1, frozenset({"total_minor", "currency", "lines"}))
ORDER_CONFIRMED = FactType("order.confirmed", 1, frozenset({"total_minor", "currency"}))
ORDER_CONFIRMATION_WITHDRAWN = FactType("order.confirmation_withdrawn", 1, frozenset({"reason"}))
ORDER_CANCELLED = FactType("order.cancelled", 1, frozenset({"reason"}))
