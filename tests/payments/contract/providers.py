"""The providers under test, each with its payment methods and faults.

A new provider gets a function here, and its entry in ``PROVIDERS``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NamedTuple
from uuid import uuid4

import pytest

from outbound.deadline import Deadline
from payments.provider_types import PaymentRequest, ProviderPayment
from payments.providers.protocol import PaymentProvider
from payments.providers.stripe import provider as stripe_provider
from sandbox.stripe_process import SandboxServer
from tests.support.in_memory_provider import provider as in_memory

AMOUNT: Final = 1200

STRIPE_OPERATIONS: Final = {
    "create_payment": "payment_intents.create",
    "confirm_payment": "payment_intents.confirm",
    "capture_payment": "payment_intents.capture",
    "cancel_payment": "payment_intents.cancel",
    "retrieve_payment": "payment_intents.retrieve",
    "list_payments": "payment_intents.list",
    "create_refund": "refunds.create",
    "list_refunds": "refunds.list",
    "list_refunds_since": "refunds.list",
}
STRIPE_FAULTS: Final = {"busy": "rate_limit"}


class HeldCall(NamedTuple):
    """One call that waits at the provider before it has an effect."""

    has_arrived: Callable[[], bool]
    release: Callable[[], object]


@dataclass(frozen=True)
class ProviderUnderTest:
    """One provider, and what the contract tests need to use it."""

    package: str
    provider: PaymentProvider
    card: str
    declined_card: str
    slow_refund_card: str
    failing_refund_card: str
    fail_next: Callable[[str, str], object]
    """Makes the next call of an operation fail: ``reset_before``, ``reset_after``, ``error_after``
    (an error is saved under the key, after the effect) or ``busy``."""
    hold_next: Callable[[str], HeldCall]
    """Makes the next call of an operation wait at the provider until it is released."""
    advance: Callable[[int], object]
    calls: Callable[[], int]
    """Returns how many calls have reached the provider."""
    set_page_size: Callable[[int], object]
    """Sets how many objects one page of a listing has; does nothing if there are no pages."""
    direct_debit: str = ""
    """A method whose money cannot be held: confirming takes it. Only for TAKES_AT_ONCE."""
    confirmations: Callable[[], int] = lambda: 0
    """Returns how often money was held or taken. Only for TAKES_AT_ONCE."""
    authenticating_card: str = ""
    """A method whose customer has to authenticate. Only for AUTHENTICATES, like the next two."""
    authenticating_declined_card: str = ""
    """A method that is declined after its customer has authenticated."""
    authenticate: Callable[[str, str], object] = lambda payment_id, result: None
    """Ends the authentication of a payment as its customer does: ``complete`` or ``fail``. Raises
    an error for a payment that does not wait for its customer."""
    authenticating_debit: str = ""
    """A method that is taken, and not held, when its customer has authenticated. Only for
    TAKES_AT_ONCE."""
    address_setting: str = ""
    """The setting with the service's address. Only for OVER_HTTP."""

    @property
    def name(self) -> str:
        return self.package.rpartition(".")[2]

    def params(
        self, method: str = "", order_id: str = "", *, return_url: str = ""
    ) -> dict[str, Any]:
        metadata = {"order_id": order_id} if order_id else {}
        request = PaymentRequest(AMOUNT, "eur", method or self.card, metadata, return_url)
        return self.provider.payment_params(request)

    def change_arguments(self, key: str = "") -> dict[str, Any]:
        """Return the arguments of every call that changes something."""
        version = self.provider.api_version
        return {"key": key or uuid4().hex, "api_version": version, "deadline": within()}

    def make_created(self, method: str = "", order_id: str = "") -> ProviderPayment:
        return self.provider.create_payment(
            self.params(method, order_id), **self.change_arguments()
        )

    def make_authorized(self, method: str = "") -> ProviderPayment:
        return self.confirm(self.make_created(method).id)

    def make_waiting(self) -> ProviderPayment:
        """Return a payment whose customer has to authenticate. Only for AUTHENTICATES."""
        return self.make_authorized(self.authenticating_card)

    def make_captured(self, method: str = "") -> ProviderPayment:
        payment_id = self.make_authorized(method).id
        return self.provider.capture_payment(
            payment_id, amount_minor=AMOUNT, currency="eur", **self.change_arguments()
        )

    def confirm(self, payment_id: str, key: str = "") -> ProviderPayment:
        return self.provider.confirm_payment(
            payment_id, self.params(), **self.change_arguments(key)
        )

    def retrieve(self, payment_id: str) -> ProviderPayment:
        return self.provider.retrieve_payment(payment_id, deadline=within())


def within(seconds: float = 30) -> Deadline:
    return Deadline.after(timedelta(seconds=seconds))


def stripe(request: pytest.FixtureRequest) -> ProviderUnderTest:
    sandbox: SandboxServer = request.getfixturevalue("sandbox_stripe")
    monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")

    def fail_next(operation: str, fault: str) -> None:
        name = STRIPE_OPERATIONS[operation]
        sandbox.add_fault(name, STRIPE_FAULTS.get(fault, fault), times=1)

    def hold_next(operation: str) -> HeldCall:
        rule = sandbox.add_fault(STRIPE_OPERATIONS[operation], "hold", times=1)
        return HeldCall(lambda: sandbox.held(rule) == 1, lambda: sandbox.release(rule))

    return ProviderUnderTest(
        package="payments.providers.stripe",
        provider=stripe_provider.PROVIDER,
        card="pm_card_visa",
        declined_card="pm_card_visa_chargeDeclined",
        slow_refund_card="pm_card_pendingRefund",
        failing_refund_card="pm_card_refundFail",
        fail_next=fail_next,
        hold_next=hold_next,
        advance=sandbox.advance,
        calls=lambda: len(sandbox.calls()),
        set_page_size=lambda size: monkeypatch.setattr(stripe_provider, "PAGE", size),
        authenticating_card="pm_card_authenticationRequired",
        authenticating_declined_card=(
            "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds"
        ),
        authenticate=sandbox.authenticate,
        address_setting="STRIPE_API_BASE",
    )


def in_memory_provider(request: pytest.FixtureRequest) -> ProviderUnderTest:
    provider = in_memory.PROVIDER
    provider.start_over()

    def hold_next(operation: str) -> HeldCall:
        held = provider.hold_next(operation)
        return HeldCall(held.arrived.is_set, held.released.set)

    return ProviderUnderTest(
        package="tests.support.in_memory_provider",
        provider=provider,
        card=in_memory.CARD,
        declined_card=in_memory.DECLINED_CARD,
        slow_refund_card=in_memory.SLOW_REFUND_CARD,
        failing_refund_card=in_memory.FAILING_REFUND_CARD,
        fail_next=provider.fail_next,
        hold_next=hold_next,
        advance=provider.advance,
        calls=lambda: len(provider.state.calls),
        set_page_size=lambda _: None,
        direct_debit=in_memory.DEBIT,
        confirmations=provider.state.confirmations.total,
        authenticating_card=in_memory.AUTHENTICATING_CARD,
        authenticating_declined_card=in_memory.AUTHENTICATING_DECLINED_CARD,
        authenticate=provider.authenticate,
        authenticating_debit=in_memory.AUTHENTICATING_DEBIT,
    )


MakeProvider = Callable[[pytest.FixtureRequest], ProviderUnderTest]
"""Starts what a provider needs, with the fixtures of the test, and makes it ready for one test."""

PROVIDERS: Final[Sequence[MakeProvider]] = (stripe, in_memory_provider)
"""Every provider. Each test with the fixture ``tested`` runs once for each of them."""

TAKES_AT_ONCE: Final[Sequence[MakeProvider]] = (in_memory_provider,)
"""Providers with a payment method whose money cannot be held."""

AUTHENTICATES: Final[Sequence[MakeProvider]] = (stripe, in_memory_provider)
"""Providers with a payment method whose customer has to authenticate."""

OVER_HTTP: Final[Sequence[MakeProvider]] = (stripe,)
"""Providers that call their service over HTTP."""


def name_of(make_provider: MakeProvider) -> str:
    return make_provider.__name__


Operation = Callable[[ProviderUnderTest, str, str], Any]
"""Makes one call for a payment, under a key."""

CHANGES: Final[Mapping[str, tuple[str, Operation]]] = {
    "create_payment": (
        "",
        lambda tested, _, key: tested.provider.create_payment(
            tested.params(order_id=key), **tested.change_arguments(key)
        ),
    ),
    "confirm_payment": (
        "make_created",
        lambda tested, payment_id, key: tested.confirm(payment_id, key),
    ),
    "capture_payment": (
        "make_authorized",
        lambda tested, payment_id, key: tested.provider.capture_payment(
            payment_id, amount_minor=AMOUNT, currency="eur", **tested.change_arguments(key)
        ),
    ),
    "cancel_payment": (
        "make_authorized",
        lambda tested, payment_id, key: tested.provider.cancel_payment(
            payment_id, **tested.change_arguments(key)
        ),
    ),
    "create_refund": (
        "make_captured",
        lambda tested, payment_id, key: tested.provider.create_refund(
            payment_id,
            amount_minor=AMOUNT,
            currency="eur",
            metadata={"refund_id": key},
            **tested.change_arguments(key),
        ),
    ),
}
"""Every operation that changes something, and the method that makes the payment it needs."""


def prepared(tested: ProviderUnderTest, operation: str) -> tuple[str, Callable[[str], Any]]:
    """Return a payment that is ready for an operation, and the operation by its key."""
    make_payment, call = CHANGES[operation]
    payment_id = getattr(tested, make_payment)().id if make_payment else ""
    return payment_id, lambda key: call(tested, payment_id, key)
