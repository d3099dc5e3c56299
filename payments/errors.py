"""What can go wrong with money: one class for each situation that callers tell apart."""

from payments.provider_types import Intent


class PaymentError(Exception):
    """Anything that this app raises on purpose."""


class PaymentDeclined(PaymentError):
    """The bank said no, and will say no again: nothing was held and nothing was taken."""

    code = "payment_declined"

    def __init__(self, decline_code: str, *, intent: Intent | None = None) -> None:
        super().__init__(f"refused by the bank: {decline_code}")
        self.decline_code = decline_code
        self.detail = decline_code
        self.intent = intent


class ProviderBusy(PaymentError):
    """Not done yet: asked too fast, a twin of the request is in flight, or the bank still works on it."""


class OutcomeUnknown(PaymentError):
    """The request may have taken effect: lost on the way, timed out, or answered with a 5xx."""

    def __init__(self, message: str, *, replayed: bool = False) -> None:
        super().__init__(message)
        # The bank repeated an answer it had saved under the key: asking again cannot change it.
        self.replayed = replayed


class UnexpectedState(PaymentError):
    """The PaymentIntent is not where the operation needs it; ``intent`` says where it is."""

    def __init__(self, intent: Intent) -> None:
        super().__init__(f"{intent.id} is {intent.status}")
        self.intent = intent


class RequestRejected(PaymentError):
    """The bank does not accept the request as it stands: a bug of ours, never the customer's."""


class AccessDenied(PaymentError):
    """The bank does not accept our key. Orders wait for operations to mend it."""


class CallInsideTransaction(PaymentError):
    """A call to the bank was about to be made with a transaction open. It was not made."""


class DeadlinePassed(PaymentError):
    """No time was left to ask the bank. It was not asked."""


class PaymentClosed(PaymentDeclined):
    """The payment was closed while it was being asked for: it must never be confirmed."""

    def __init__(self) -> None:
        super().__init__("closed")


class AmountMismatch(PaymentError):
    """The bank holds or took another sum than we asked for. A person has to look."""

    def __init__(self, intent: Intent, *, expected_minor: int, currency: str) -> None:
        super().__init__(
            f"{intent.id}: {intent.capturable_minor} held and {intent.received_minor} taken, "
            f"{intent.currency}; expected {expected_minor} {currency}"
        )


class RefundRejected(PaymentError):
    """The bank will not give this charge back (again); ``code`` says why. Nothing was moved."""

    def __init__(self, code: str) -> None:
        super().__init__(f"refund refused by the bank: {code}")
        self.code = code


class RefundPending(PaymentError):
    """The bank has accepted a refund, and the money has not gone back yet."""


class RefundFailed(PaymentError):
    """The bank could not give the money back. A person has to find another way."""
