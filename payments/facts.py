"""What becomes true of money."""

from events.facts import FactType

_MONEY = frozenset({"payment_id", "intent_id", "amount_minor", "currency"})

PAYMENT_AUTHORIZED = FactType("payment.authorized", 1, _MONEY)
PAYMENT_CAPTURED = FactType("payment.captured", 1, _MONEY)
PAYMENT_VOIDED = FactType("payment.voided", 1, _MONEY | {"decline_code"})
PAYMENT_REFUNDED = FactType("payment.refunded", 1, _MONEY)
