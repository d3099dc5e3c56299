"""What a payment provider is, and what each of its operations promises.

Read this before you write a provider. ``tests/payments/contract/`` checks the promises.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from outbound.deadline import Deadline
from payments.provider_types import (
    ChargeLimits,
    PaymentRequest,
    ProviderPayment,
    ProviderRefund,
)


class PaymentProvider(Protocol):
    """A service that takes money from customers and returns it.

    **Repetition.** An operation with a ``key`` acts at most once for that key: called again with the
    same parameters and ``api_version``, it returns its first result. That must hold for a day at
    least. A provider that saved an *error* under a key repeats it with
    ``OutcomeUnknown(replayed=True)``; the caller then reads the payment, and takes the next key.
    While one call uses a key, another call with it raises NotDoneYet.

    **Time-out and crash.** No call starts after its ``deadline``, and none waits longer for an answer.
    Only an answer that arrives slowly may end later. A call without a whole, readable answer raises
    OutcomeUnknown; a crash has the same effect. The caller repeats the call with the same key, or
    retrieves the payment. A provider never repeats a call by itself.

    **Four ways to end**, as exceptions of ``payments.errors``:

    ======== =======================================================================================
    done      The operation returns. Its effect is final at the provider.
    rejected  Nothing was done. PaymentDeclined, RefundRejected, and WrongStatus, which carries the
              payment's current state. RequestRejected can never succeed: the provider does not
              charge the amount, or we have a bug. AccessDenied and UnknownPayment wait for an
              operator.
    transient NotDoneYet, DeadlinePassed. Nothing was done; the same call may succeed later.
    unknown   OutcomeUnknown. The effect may exist.
    ======== =======================================================================================

    **Lengths.** The id of a payment or refund has at most 255 characters, and ``api_version`` 32. A
    decline code has at most 64, and so has the name of the provider's package. A client secret has at
    most 255.

    **Amounts** are in the minor units of ISO 4217, in every argument and result. A provider that
    counts in other units converts them, in both directions.

    Each operation raises CallInsideTransaction, and makes no call, while this thread has a database
    transaction open. Threads share one provider.
    """

    @property
    def label(self) -> str:
        """The provider's name for staff."""

    @property
    def api_version(self) -> str:
        """The version of the provider's API that new payments are made under, at most 32 characters.

        It is stored with each payment and passed back, so that a repetition after a deploy equals the
        first request exactly.
        """

    # -- answered without a call -----------------------------------------------------------------

    def accepts_payment_method(self, payment_method: str) -> bool:
        """Return whether a payment method's reference has the form of this provider's.

        No two providers may accept the same reference: the first in PAYMENT_PROVIDERS would win.
        """

    @property
    def payment_method_hint(self) -> str:
        """What ``accepts_payment_method`` takes, for the developer of a storefront: "an id such as …"."""

    def charge_limits(self, currency: str) -> ChargeLimits | None:
        """Return which amounts it charges in a currency; None if it does not charge in it.

        The currency is a code of ISO 4217 in lower case.
        """

    def payment_params(self, request: PaymentRequest) -> dict[str, Any]:
        """Return what ``create_payment`` is called with: JSON, stored before the first call.

        Its members ``amount`` (in minor units), ``currency``, ``payment_method`` and ``metadata``
        repeat the request; other members are the provider's own. ``confirm_payment`` gets the same
        JSON, so what it will send belongs here too.
        """

    def recognizes_id(self, provider_id: str) -> bool:
        """Return whether a text has the form of this provider's id of a payment or a refund."""

    @property
    def id_hint(self) -> str:
        """How staff recognize such an id, as a short text: "mp_… or mr_…"."""

    def dashboard_url(self, provider_id: str) -> str | None:
        """Return the address of a payment or refund in the provider's dashboard, if it has one."""

    @property
    def authorization_time(self) -> timedelta | None:
        """How long an authorization lasts at least, by the provider's own words; None if it says nothing."""

    # -- calls that change something -------------------------------------------------------------

    def create_payment(
        self, params: Mapping[str, Any], *, key: str, api_version: str, deadline: Deadline
    ) -> ProviderPayment:
        """Create a payment that takes no money yet, whatever happens to the answer.

        Raises PaymentDeclined if the payment method cannot be used, and RequestRejected for an
        amount that the provider does not charge. A provider without a
        confirmation, such as one for bank transfers, returns PROCESSING at once.
        """

    def confirm_payment(
        self,
        payment_id: str,
        params: Mapping[str, Any],
        *,
        key: str,
        api_version: str,
        deadline: Deadline,
    ) -> ProviderPayment:
        """Authorize the money, or take it where the payment method cannot be held.

        ``params`` is what ``create_payment`` was called with. Returns AUTHORIZED, CAPTURED or
        PROCESSING, or REQUIRES_ACTION if the issuer asks the customer to authenticate. Raises
        PaymentDeclined with the payment. Raises WrongStatus unless the payment is CREATED, DECLINED
        or REQUIRES_ACTION. So it never confirms a cancelled payment.

        A payment that is REQUIRES_ACTION has a ``next_action`` and a ``client_secret``, and holds no
        money. When the customer has acted, the provider continues without a call of ours. The payment
        becomes AUTHORIZED, CAPTURED, PROCESSING or DECLINED, and ``retrieve_payment`` returns that.

        * Repetition: the same key returns REQUIRES_ACTION also after the customer has acted. So the
          caller retrieves the payment. Another key asks the customer again, and the earlier action may
          stop working.
        * Time-out and crash: the payment may be REQUIRES_ACTION. ``retrieve_payment`` then returns the
          action and the secret of the lost answer.
        """

    def capture_payment(
        self,
        payment_id: str,
        *,
        amount_minor: int,
        currency: str,
        key: str,
        api_version: str,
        deadline: Deadline,
    ) -> ProviderPayment:
        """Take ``amount_minor`` of what is held, and release the rest.

        ``currency`` is the payment's. Raises WrongStatus unless the payment is AUTHORIZED.
        """

    def cancel_payment(
        self, payment_id: str, *, key: str, api_version: str, deadline: Deadline
    ) -> ProviderPayment:
        """Release what is held, and end the payment for good: no confirmation succeeds after it.

        Returns CANCELLED, also for a payment that was declined, or that is REQUIRES_ACTION: its
        customer cannot complete the action any more. Raises WrongStatus for one that is CAPTURED or
        CANCELLED already, or that the provider is just confirming or capturing.
        """

    def create_refund(
        self,
        payment_id: str,
        *,
        amount_minor: int,
        currency: str,
        metadata: Mapping[str, str],
        key: str,
        api_version: str,
        deadline: Deadline,
    ) -> ProviderRefund:
        """Send back ``amount_minor`` of what was captured. ``currency`` is the payment's.

        The refund may be PENDING for days, and FAILED after that. Raises RefundRejected if the provider
        rejects it, for example if it is more than what was captured and not yet refunded.
        """

    # -- calls that read -------------------------------------------------------------------------

    def retrieve_payment(self, payment_id: str, *, deadline: Deadline) -> ProviderPayment:
        """Return the payment's current state. Raises UnknownPayment for an unknown id."""

    def list_payments(
        self, *, created_from: datetime, deadline: Deadline
    ) -> Iterator[ProviderPayment]:
        """Yield every payment of the account created since then, newest first.

        A payment is listed as soon as its creation was answered. Times are exact to the second.
        The deadline covers all pages.
        """

    def list_refunds(self, payment_id: str, *, deadline: Deadline) -> list[ProviderRefund]:
        """Return every refund of a payment, newest first, also those that staff made elsewhere."""

    def list_refunds_since(
        self, created_from: datetime, *, deadline: Deadline
    ) -> Iterator[ProviderRefund]:
        """Yield every refund of the account created since then, newest first.

        ``list_payments`` says when an object is listed, and what the deadline covers.
        """
