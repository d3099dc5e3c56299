"""What the model assumes about the code: the statuses, their moves, the steps of the sagas."""

from typing import Final, NamedTuple

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


class Step(NamedTuple):
    """One step of a saga. ``is_patient``: its retries have no limit."""

    name: str
    is_remote: bool
    queue: str
    compensation: str = ""
    compensation_is_remote: bool = False
    is_patient: bool = True
    may_be_rejected: bool = False


CHECKOUT: Final = (
    Step("reserve_stock", is_remote=False, queue="checkout", compensation="release_stock"),
    Step(
        "authorize_payment",
        is_remote=True,
        queue="checkout",
        compensation="void_authorization",
        compensation_is_remote=True,
        is_patient=False,
        may_be_rejected=True,
    ),
    Step("confirm_order", is_remote=False, queue="checkout", compensation="withdraw_confirmation"),
    Step(
        "capture_payment",
        is_remote=True,
        queue="settlement",
        compensation="refund_payment",
        compensation_is_remote=True,
        may_be_rejected=True,
    ),
)
CANCELLATION: Final = (
    Step("return_payment", is_remote=True, queue="settlement"),
    Step("release_reserved_stock", is_remote=False, queue="settlement"),
    Step("finish_cancelling", is_remote=False, queue="settlement"),
)
