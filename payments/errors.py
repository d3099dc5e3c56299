"""The errors of payments: one class for each situation that callers handle differently."""

from datetime import datetime
from uuid import UUID

from payments.provider_types import ProviderPayment


class PaymentError(Exception):
    """Base class of the errors that this app raises on purpose."""


class PaymentDeclined(PaymentError):
    """The provider or the issuer declines the payment. Nothing was held or taken; we do not retry."""

    code = "payment_declined"

    def __init__(self, decline_code: str, *, payment: ProviderPayment | None = None) -> None:
        super().__init__(f"declined: {decline_code}")
        self.decline_code = decline_code
        self.detail = decline_code
        self.payment = payment


class NotDoneYet(PaymentError):
    """Try again later: too many calls, an equal request in flight, or a payment still in progress."""


class OutcomeUnknown(PaymentError):
    """The request may have taken effect: lost on the way, timed out, or answered with a 5xx.

    ``replayed`` is true if the provider repeated an error that it had saved under the key. Then the
    same key will never bring another answer.
    """

    def __init__(self, message: str, *, replayed: bool = False) -> None:
        super().__init__(message)
        self.replayed = replayed


class WrongStatus(PaymentError):
    """The payment's status does not allow the operation. ``payment`` is its current state."""

    def __init__(self, payment: ProviderPayment) -> None:
        super().__init__(f"{payment.id} is {payment.status}")
        self.payment = payment


class RequestRejected(PaymentError):
    """The provider does not accept the request, and never will. Nothing was done.

    ``detail`` is the provider's code, such as ``amount_too_small``; empty if it gave none.
    """

    code = "payment_rejected"

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class AccessDenied(PaymentError):
    """The provider does not accept our credentials, or our account lacks what the request needs.

    Nothing was done. Orders wait until an operator corrects that.
    """


class UnknownPayment(PaymentError):
    """The provider does not have this payment. Its money may be in another account.

    This happens when the API key was replaced by another account's. An operator has to look.
    """


class CallInsideTransaction(PaymentError):
    """A database transaction is open, so the provider was not called."""


class DeadlinePassed(PaymentError):
    """The deadline passed before the call. The provider was not called."""


class PaymentClosed(PaymentDeclined):
    """The payment was marked for closing before it was authorized: it is not confirmed any more.

    It is a decline, so that the authorization step rejects and the run compensates.
    """

    def __init__(self) -> None:
        super().__init__("closed")


class AuthenticationRequired(PaymentDeclined):
    """The issuer asks the customer to authenticate. Nothing is held until they have done so.

    ``payments.services.customer_action`` returns what the storefront needs for it. The caller repeats
    the attempt later, or gives up. It is a decline for callers that do not wait for the customer.
    """

    code = "authentication_required"

    def __init__(self, payment: ProviderPayment) -> None:
        super().__init__("authentication_required", payment=payment)
        self.until: datetime | None = None
        """The end of the time that the customer has, if it is known."""


class AuthenticationAbandoned(PaymentDeclined):
    """The customer did not authenticate the payment in the time that they had."""

    code = "authentication_abandoned"

    def __init__(self, payment: ProviderPayment | None) -> None:
        super().__init__("authentication_abandoned", payment=payment)


class NotPaidInTime(PaymentDeclined):
    """The customer did not pay by another method in the time that they had.

    ``detail`` says why the order was not paid before: the decline code of its newest payment, or
    ``earlier_refund_pending`` if that payment waited for the refund of an earlier one.
    """

    code = "not_paid_in_time"


class AnotherPaymentNeeded(PaymentError):
    """The payment was declined, and the customer still has time to pay otherwise.

    ``detail`` is the provider's decline code; ``until`` the end of that time, if it is known.
    """

    code = "another_payment_needed"

    def __init__(self, decline_code: str, until: datetime | None = None) -> None:
        super().__init__(f"declined: {decline_code}")
        self.detail = decline_code
        self.until = until


class PaymentInProgress(PaymentError):
    """The order has an open payment, whose customer has to act. ``payment_id`` names it."""

    def __init__(self, payment_id: UUID) -> None:
        super().__init__(f"payment {payment_id} waits for its customer")
        self.payment_id = payment_id


class TooManyPayments(PaymentError):
    """The order has as many payments as one order may have."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"an order may have {limit} payments")
        self.limit = limit


class AmountMismatch(PaymentError):
    """The provider holds or took a different amount than requested. Staff have to look."""

    def __init__(self, payment: ProviderPayment, *, expected_minor: int, currency: str) -> None:
        super().__init__(
            f"{payment.id}: {payment.held_minor} held and {payment.captured_minor} captured, "
            f"{payment.currency}; expected {expected_minor} {currency}"
        )


class RefundRejected(PaymentError):
    """The provider will not refund this payment (again); ``code`` says why. Nothing was moved."""

    def __init__(self, code: str) -> None:
        super().__init__(f"refund rejected: {code}")
        self.code = code


class RefundPending(PaymentError):
    """The provider has accepted a refund, and the money is not back yet. The caller looks again."""

    code = "refund_pending"


class EarlierRefundPending(PaymentError):
    """The order's newest payment waits for the refund of an earlier one.

    ``until`` is the end of the time that the customer has to pay, if it is known.
    """

    code = "earlier_refund_pending"

    def __init__(self, message: str, until: datetime | None = None) -> None:
        super().__init__(message)
        self.until = until


class RefundFailed(PaymentError):
    """The provider could not return the money. Staff have to find another way."""


class UnknownProvider(PaymentError):
    """A payment's provider is not in the setting PAYMENT_PROVIDERS any more."""

    def __init__(self, name: str) -> None:
        super().__init__(f"PAYMENT_PROVIDERS has no {name!r}")


class UnknownPaymentMethod(PaymentError):
    """No provider of this installation accepts a payment method of this form."""

    def __init__(self, payment_method: str) -> None:
        super().__init__(f"no payment provider accepts {payment_method!r}")


class CurrencyNotCharged(PaymentError):
    """A provider of this installation does not charge in a currency."""

    def __init__(self, provider: str, currency: str) -> None:
        super().__init__(f"{provider} does not charge in {currency!r}")
