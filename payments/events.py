"""The events about payments, with their fields."""

from events.event_types import EventType

_MONEY = frozenset({"payment_id", "provider", "provider_payment_id", "amount_minor", "currency"})

PAYMENT_AUTHORIZED = EventType("payment.authorized", 1, _MONEY)
PAYMENT_CAPTURED = EventType("payment.captured", 1, _MONEY)
PAYMENT_VOIDED = EventType("payment.voided", 1, _MONEY | {"decline_code"})
PAYMENT_REFUNDED = EventType("payment.refunded", 1, _MONEY)
