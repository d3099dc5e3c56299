"""A payment provider in memory: it keeps every promise of the protocol, and fails on demand.

For tests that hold for any provider. Stripe's own behaviour is the sandbox's (fixture ``sandbox_stripe``).
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from outbound import errors as outbound_errors
from outbound.deadline import Deadline
from outbound.transaction_guard import is_transaction_open
from payments.errors import (
    CallInsideTransaction,
    DeadlinePassed,
    NotDoneYet,
    OutcomeUnknown,
    PaymentDeclined,
    RefundRejected,
    RequestRejected,
    UnknownPayment,
    WrongStatus,
)
from payments.provider_types import (
    ChargeLimits,
    CustomerAction,
    PaymentRequest,
    ProviderPayment,
    ProviderPaymentStatus,
    ProviderRefund,
    RefundStatus,
)
from payments.providers.protocol import PaymentProvider

T = TypeVar("T")

CARD: Final = "memory_card"
DECLINED_CARD: Final = "memory_card_declined"
SLOW_REFUND_CARD: Final = "memory_card_slow_refund"
FAILING_REFUND_CARD: Final = "memory_card_failing_refund"
DEBIT: Final = "memory_debit"
"""Cannot be authorized: confirming it captures the money at once."""
AUTHENTICATING_CARD: Final = "memory_card_authenticating"
AUTHENTICATING_DECLINED_CARD: Final = "memory_card_authenticating_declined"
"""Is declined after its customer has authenticated."""
AUTHENTICATING_DEBIT: Final = "memory_debit_authenticating"

ASK_THE_CUSTOMER: Final = (AUTHENTICATING_CARD, AUTHENTICATING_DECLINED_CARD, AUTHENTICATING_DEBIT)
DECLINED: Final = (DECLINED_CARD, AUTHENTICATING_DECLINED_CARD)
SLOW_REFUNDS: Final = (SLOW_REFUND_CARD, FAILING_REFUND_CARD)
TAKEN_AT_ONCE: Final = (DEBIT, AUTHENTICATING_DEBIT)

CURRENCIES: Final = ("eur", "usd")
LIMITS: Final = ChargeLimits(min_minor=50, max_minor=99_999_999, increment_minor=1)

LONGEST_HOLD_SECONDS: Final = 180
"""A held call goes on after this time, so that a failed test leaves no thread behind."""

REFUND_SECONDS: Final = 600
"""How long a slow refund is pending."""


@dataclass
class Payment:
    """One payment, with the method that it is paid by."""

    state: ProviderPayment
    method: str


@dataclass
class SavedOutcome:
    """The request that used a key, and the outcome that every repetition gets."""

    request: tuple[Any, ...]
    outcome: object


@dataclass
class HeldCall:
    """One call that waits at the provider, after it was read and before it has an effect."""

    operation: str
    arrived: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)


@dataclass
class ProviderState:
    """Everything that the provider remembers."""

    seconds: int = 0
    payments: dict[str, Payment] = field(default_factory=dict)
    refunds: dict[str, ProviderRefund] = field(default_factory=dict)
    saved: dict[str, SavedOutcome] = field(default_factory=dict)
    keys_in_use: set[str] = field(default_factory=set)
    """The keys of calls that have begun and have not ended."""
    has_slow_refunds: bool = False
    """Whether every refund is slow, whatever the payment method."""
    faults: list[tuple[str, str]] = field(default_factory=list)
    holds: list[HeldCall] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    confirmations: Counter[str] = field(default_factory=Counter)
    """How often each payment's money was held or taken."""


class InMemoryProvider:
    """Threads share one provider. A fault of ``fail_next`` makes one call of its operation fail.

    ``reset_before`` and ``reset_after`` lose the answer, with nothing and with everything done;
    ``error_after`` saves an error under the key after the effect; ``busy`` does nothing.
    """

    label = "In memory"
    api_version = "1"
    payment_method_hint = "a name such as memory_card"
    id_hint = "mp_… or mr_…"
    authorization_time: timedelta | None = None

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.start_over()

    # -- controls of the tests -------------------------------------------------------------------

    def start_over(self) -> None:
        """Forget everything."""
        self.state = ProviderState()

    def fail_next(self, operation: str, fault: str) -> None:
        """Set the fault of the next call of an operation."""
        self.state.faults.append((operation, fault))

    def hold_next(self, operation: str) -> HeldCall:
        """Make the next call of an operation that changes something wait until it is released."""
        held = HeldCall(operation)
        self.state.holds.append(held)
        return held

    def advance(self, seconds: int) -> None:
        """Move the clock forward, and settle the refunds that are due."""
        self.state.seconds += seconds
        for refund in self.state.refunds.values():
            if self._now() - refund.created_at >= timedelta(seconds=REFUND_SECONDS):
                self._settle(refund)

    def authenticate(self, payment_id: str, result: str) -> None:
        """End a customer's authentication: ``complete`` or ``fail``. Raises WrongStatus."""
        with self._lock:
            payment = self._require_status(payment_id, ProviderPaymentStatus.REQUIRES_ACTION)
            if result == "complete":
                self._charge(payment)
            else:
                self._decline(payment, "authentication_failed")

    # -- answered without a call -----------------------------------------------------------------

    def accepts_payment_method(self, payment_method: str) -> bool:
        return payment_method.startswith("memory_")

    def recognizes_id(self, provider_id: str) -> bool:
        return provider_id.startswith(("mp_", "mr_"))

    def dashboard_url(self, provider_id: str) -> str | None:
        return f"https://memory.example/{provider_id}"

    def charge_limits(self, currency: str) -> ChargeLimits | None:
        return LIMITS if currency in CURRENCIES else None

    def payment_params(self, request: PaymentRequest) -> dict[str, Any]:
        return {
            "amount": request.amount_minor,
            "currency": request.currency,
            "payment_method": request.payment_method,
            "metadata": dict(request.metadata),
            "return_url": request.return_url,
        }

    # -- calls that change something -------------------------------------------------------------

    def create_payment(
        self, params: Mapping[str, Any], *, key: str, api_version: str, deadline: Deadline
    ) -> ProviderPayment:
        def create() -> ProviderPayment:
            if not LIMITS.min_minor <= params["amount"] <= LIMITS.max_minor:
                raise RequestRejected("create_payment: amount", "amount_not_charged")
            payment = ProviderPayment(
                id=f"mp_{len(self.state.payments) + 1}",
                status=ProviderPaymentStatus.CREATED,
                amount_minor=params["amount"],
                held_minor=0,
                captured_minor=0,
                currency=params["currency"],
                decline_code="",
                metadata=params["metadata"],
                created_at=self._now(),
            )
            self.state.payments[payment.id] = Payment(payment, params["payment_method"])
            return payment

        request = (repr(sorted(params.items())), api_version)
        return self._change("create_payment", key, request, deadline, create)

    def confirm_payment(
        self,
        payment_id: str,
        params: Mapping[str, Any],
        *,
        key: str,
        api_version: str,
        deadline: Deadline,
    ) -> ProviderPayment:
        return_url = str(params["return_url"])

        def confirm() -> ProviderPayment:
            payment = self._require_status(
                payment_id,
                ProviderPaymentStatus.CREATED,
                ProviderPaymentStatus.DECLINED,
                ProviderPaymentStatus.REQUIRES_ACTION,
            )
            if payment.method in ASK_THE_CUSTOMER:
                return self._ask_the_customer(payment, return_url)
            confirmed = self._charge(payment)
            if confirmed.status == ProviderPaymentStatus.DECLINED:
                raise PaymentDeclined(confirmed.decline_code, payment=confirmed)
            return confirmed

        request = (payment_id, return_url, api_version)
        return self._change("confirm_payment", key, request, deadline, confirm)

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
        def capture() -> ProviderPayment:
            payment = self._require_status(payment_id, ProviderPaymentStatus.AUTHORIZED)
            if amount_minor > payment.state.held_minor:
                raise RequestRejected("capture_payment: more than is held")
            return self._update(
                payment,
                status=ProviderPaymentStatus.CAPTURED,
                held_minor=0,
                captured_minor=amount_minor,
            )

        request = (payment_id, amount_minor, currency, api_version)
        return self._change("capture_payment", key, request, deadline, capture)

    def cancel_payment(
        self, payment_id: str, *, key: str, api_version: str, deadline: Deadline
    ) -> ProviderPayment:
        def cancel() -> ProviderPayment:
            payment = self._require_status(
                payment_id,
                ProviderPaymentStatus.CREATED,
                ProviderPaymentStatus.DECLINED,
                ProviderPaymentStatus.REQUIRES_ACTION,
                ProviderPaymentStatus.AUTHORIZED,
            )
            return self._update(payment, status=ProviderPaymentStatus.CANCELLED, held_minor=0)

        return self._change("cancel_payment", key, (payment_id, api_version), deadline, cancel)

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
        def create() -> ProviderRefund:
            payment = self._known(payment_id)
            if amount_minor > payment.state.captured_minor - self._refunded_minor(payment_id):
                raise RefundRejected("already_refunded")
            is_slow = self.state.has_slow_refunds or payment.method in SLOW_REFUNDS
            refund = ProviderRefund(
                id=f"mr_{len(self.state.refunds) + 1}",
                payment_id=payment_id,
                status=RefundStatus.PENDING if is_slow else RefundStatus.SUCCEEDED,
                amount_minor=amount_minor,
                currency=payment.state.currency,
                metadata=dict(metadata),
                failure_reason="",
                created_at=self._now(),
            )
            self.state.refunds[refund.id] = refund
            return refund

        request = (payment_id, amount_minor, currency, repr(sorted(metadata.items())), api_version)
        return self._change("create_refund", key, request, deadline, create)

    # -- calls that read -------------------------------------------------------------------------

    def retrieve_payment(self, payment_id: str, *, deadline: Deadline) -> ProviderPayment:
        return self._read("retrieve_payment", deadline, lambda: self._known(payment_id).state)

    def list_payments(
        self, *, created_from: datetime, deadline: Deadline
    ) -> Iterator[ProviderPayment]:
        def listed() -> list[ProviderPayment]:
            states = [payment.state for payment in self.state.payments.values()]
            return [payment for payment in reversed(states) if payment.created_at >= since]

        since = created_from.replace(microsecond=0)
        yield from self._read("list_payments", deadline, listed)

    def list_refunds(self, payment_id: str, *, deadline: Deadline) -> list[ProviderRefund]:
        def listed() -> list[ProviderRefund]:
            self._known(payment_id)
            refunds = reversed(self.state.refunds.values())
            return [refund for refund in refunds if refund.payment_id == payment_id]

        return self._read("list_refunds", deadline, listed)

    def list_refunds_since(
        self, created_from: datetime, *, deadline: Deadline
    ) -> Iterator[ProviderRefund]:
        def listed() -> list[ProviderRefund]:
            refunds = reversed(self.state.refunds.values())
            return [refund for refund in refunds if refund.created_at >= since]

        since = created_from.replace(microsecond=0)
        yield from self._read("list_refunds_since", deadline, listed)

    # -- inside ----------------------------------------------------------------------------------

    def _change(
        self,
        operation: str,
        key: str,
        request: tuple[Any, ...],
        deadline: Deadline,
        act: Callable[[], T],
    ) -> T:
        """Act once for the key; repeat the saved outcome, a rejection or an error too.

        Raises NotDoneYet while another call uses the key.
        """
        fault = self._begin(operation, deadline)
        if fault == "reset_before":
            raise OutcomeUnknown(f"{operation}: no answer")
        with self._lock:
            saved = self.state.saved.get(key)
            is_repeated = saved is not None
            if saved is not None and saved.request != (operation, *request):
                raise RequestRejected(f"{operation}: the key was used for another request")
            if saved is None:
                if key in self.state.keys_in_use:
                    raise NotDoneYet(f"{operation}: the key is in use")
                self.state.keys_in_use.add(key)
        if saved is None:
            self._wait_while_held(operation)
            with self._lock:
                self.state.keys_in_use.discard(key)
                saved = SavedOutcome((operation, *request), _outcome(act))
                self.state.saved[key] = saved
                if fault == "error_after":
                    saved.outcome = OutcomeUnknown(f"{operation}: error")
        if fault == "reset_after":
            raise OutcomeUnknown(f"{operation}: no answer")
        if isinstance(saved.outcome, OutcomeUnknown):
            raise OutcomeUnknown(str(saved.outcome), replayed=is_repeated)
        if isinstance(saved.outcome, Exception):
            raise saved.outcome
        return saved.outcome  # type: ignore[return-value]  # saved for this very operation

    def _wait_while_held(self, operation: str) -> None:
        with self._lock:
            held = next((held for held in self.state.holds if held.operation == operation), None)
            if held is None:
                return
            self.state.holds.remove(held)
        held.arrived.set()
        held.released.wait(LONGEST_HOLD_SECONDS)

    def _read(self, operation: str, deadline: Deadline, read: Callable[[], T]) -> T:
        if self._begin(operation, deadline):
            raise OutcomeUnknown(f"{operation}: no answer")
        with self._lock:
            return read()

    def _begin(self, operation: str, deadline: Deadline) -> str:
        """Record a call, and return its fault; empty for none.

        Raises CallInsideTransaction, DeadlinePassed, and NotDoneYet for the fault ``busy``.
        """
        if is_transaction_open():
            raise CallInsideTransaction(operation)
        try:
            deadline.remaining()
        except outbound_errors.DeadlinePassed as error:
            raise DeadlinePassed(operation) from error
        with self._lock:
            self.state.calls.append(operation)
            faults = (fault for fault in self.state.faults if fault[0] == operation)
            fault = next(faults, None)
            if fault is None:
                return ""
            self.state.faults.remove(fault)
        if fault[1] == "busy":
            raise NotDoneYet(f"{operation}: busy")
        return fault[1]

    def _now(self) -> datetime:
        return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=self.state.seconds)

    def _known(self, payment_id: str) -> Payment:
        if payment_id not in self.state.payments:
            raise UnknownPayment(f"no payment {payment_id}")
        return self.state.payments[payment_id]

    def _require_status(self, payment_id: str, *statuses: ProviderPaymentStatus) -> Payment:
        payment = self._known(payment_id)
        if payment.state.status not in statuses:
            raise WrongStatus(payment.state)
        return payment

    def _ask_the_customer(self, payment: Payment, return_url: str) -> ProviderPayment:
        page = f"https://memory.example/authenticate/{payment.state.id}"
        return self._update(
            payment,
            status=ProviderPaymentStatus.REQUIRES_ACTION,
            decline_code="",
            next_action=(
                CustomerAction("redirect", page)
                if return_url
                else CustomerAction("provider_sdk", "")
            ),
            client_secret=f"{payment.state.id}_secret",
        )

    def _charge(self, payment: Payment) -> ProviderPayment:
        """Hold or take the money, or decline."""
        if payment.method in DECLINED:
            return self._decline(payment, "no_funds")
        self.state.confirmations[payment.state.id] += 1
        amount = payment.state.amount_minor
        if payment.method in TAKEN_AT_ONCE:
            return self._update(
                payment, status=ProviderPaymentStatus.CAPTURED, captured_minor=amount
            )
        return self._update(payment, status=ProviderPaymentStatus.AUTHORIZED, held_minor=amount)

    def _decline(self, payment: Payment, code: str) -> ProviderPayment:
        return self._update(payment, status=ProviderPaymentStatus.DECLINED, decline_code=code)

    def _update(self, payment: Payment, **changes: Any) -> ProviderPayment:
        """Change a payment, which waits for its customer only if the changes say so."""
        nothing_to_do = {"next_action": None, "client_secret": ""}
        payment.state = replace(payment.state, **{**nothing_to_do, **changes})
        return payment.state

    def _settle(self, refund: ProviderRefund) -> None:
        if refund.status == RefundStatus.PENDING:
            fails = self.state.payments[refund.payment_id].method == FAILING_REFUND_CARD
            status = RefundStatus.FAILED if fails else RefundStatus.SUCCEEDED
            reason = "account_closed" if fails else ""
            self.state.refunds[refund.id] = replace(refund, status=status, failure_reason=reason)

    def _refunded_minor(self, payment_id: str) -> int:
        """Return the sum of the refunds that are pending or have succeeded."""
        return sum(
            refund.amount_minor
            for refund in self.state.refunds.values()
            if refund.payment_id == payment_id and refund.status != RefundStatus.FAILED
        )


def _outcome(act: Callable[[], object]) -> object:
    try:
        return act()
    except (PaymentDeclined, RefundRejected, RequestRejected, WrongStatus) as rejection:
        return rejection


PROVIDER: Final = InMemoryProvider()
_: PaymentProvider = PROVIDER
