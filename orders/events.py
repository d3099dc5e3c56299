"""The events of orders, with their fields."""

from events.event_types import EventType

ORDER_PLACED = EventType("order.placed", 1, frozenset({"total_minor", "currency", "lines"}))
ORDER_CONFIRMED = EventType("order.confirmed", 1, frozenset({"total_minor", "currency"}))
ORDER_CONFIRMATION_WITHDRAWN = EventType("order.confirmation_withdrawn", 1, frozenset({"reason"}))
ORDER_CANCELLED = EventType("order.cancelled", 1, frozenset({"reason"}))
