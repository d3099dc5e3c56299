"""What staff read about errors of payment calls that last until a person acts. See docs/runbooks."""

from typing import Final

from payments.errors import (
    AccessDenied,
    AmountMismatch,
    RefundFailed,
    RefundRejected,
    RequestRejected,
    UnknownPayment,
)
from sagas.descriptions import FailureText

STALLED: Final = "docs/runbooks/stalled-saga.md"
REFUND: Final = "docs/runbooks/failed-refund.md"

REPEATED: Final = "The call is repeated, at most five minutes apart."
REFUND_REPEATED: Final = (
    "Holdfast looks again, at most five minutes apart. The order goes on when the provider shows that"
    " all of the money was returned."
)

PAYMENT_FAILURES: Final = {
    AccessDenied: FailureText(
        "The provider refuses our key or our account.",
        "An operator must correct the key.",
        REPEATED,
        STALLED,
    ),
    UnknownPayment: FailureText(
        "The provider does not have this payment.",
        "Check whether the key belongs to another account.",
        REPEATED,
        STALLED,
    ),
    AmountMismatch: FailureText(
        "The provider holds or took another amount than the order costs.",
        "Compare the payment in the provider's dashboard with the order; cancel the order if in doubt.",
        REPEATED,
        STALLED,
    ),
    RequestRejected: FailureText(
        "The provider does not accept our request.",
        "A developer must correct it.",
        REPEATED,
        STALLED,
    ),
    RefundFailed: FailureText(
        "The refund failed at the provider: the money did not reach the customer.",
        "Refund the payment again in the provider's dashboard, unless that was done. Then retry the order.",
        REFUND_REPEATED,
        REFUND,
    ),
    RefundRejected: FailureText(
        "The provider does not refund this payment, or not again.",
        "Look in the provider's dashboard: unless a refund is on its way, return the money there, then retry"
        " the order.",
        REFUND_REPEATED,
        REFUND,
    ),
}
"""The failures of every call about a payment."""
