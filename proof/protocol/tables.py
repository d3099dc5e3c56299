"""What the model assumes about the code: the statuses and their moves."""

from typing import Final

PLACED: Final = "placed"
CONFIRMED: Final = "confirmed"
CANCELLING: Final = "cancelling"
CANCELLED: Final = "cancelled"

PREPARED: Final = "prepared"
AUTHORIZED: Final = "authorized"
CAPTURED: Final = "captured"
VOIDED: Final = "voided"
REFUNDED: Final = "refunded"

RUNNING: Final = "running"
COMPENSATING: Final = "compensating"
COMPLETED: Final = "completed"
COMPENSATED: Final = "compensated"

AUTHENTICATION: Final = "authentication_required"
ANOTHER_PAYMENT: Final = "another_payment_needed"
"""What a run waits for while its customer may pay otherwise."""

Move = tuple[str, str]

ORDER_MOVES: Final[frozenset[Move]] = frozenset(
    {
        (PLACED, CONFIRMED),
        (PLACED, CANCELLING),
        (CONFIRMED, CANCELLING),
        (CANCELLING, CANCELLED),
    }
)
PAYMENT_MOVES: Final[frozenset[Move]] = frozenset(
    {
        (PREPARED, AUTHORIZED),
        (PREPARED, VOIDED),
        (AUTHORIZED, CAPTURED),
        (AUTHORIZED, VOIDED),
        (AUTHORIZED, REFUNDED),
        (CAPTURED, REFUNDED),
    }
)
BY_HAND_AT_THE_PROVIDER: Final[frozenset[Move]] = frozenset({(PREPARED, REFUNDED)})
"""Allowed by the code but not modelled: we capture money only after it was recorded as authorized, so
only a person in the provider's dashboard can capture it earlier."""
RUN_MOVES: Final[frozenset[Move]] = frozenset(
    {
        (RUNNING, COMPENSATING),
        (RUNNING, COMPLETED),
        (COMPENSATING, COMPENSATED),
    }
)
