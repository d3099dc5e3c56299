"""Reading our payments from the provider: which are ours, page by page, and from when it is complete."""

from datetime import timedelta
from uuid import uuid4

import pytest
from pytest_django import Settings

from payments import provider_reconciliation
from payments.errors import OutcomeUnknown
from payments.payment_operations import CLOCK_TOLERANCE
from payments.provider_reconciliation import (
    ProviderPaymentState,
    read_payments,
    read_providers,
    read_recent,
)
from payments.provider_types import PaymentKey, PaymentRequest, ProviderPayment
from payments.providers.stripe import provider as stripe_provider
from sandbox.stripe_process import SandboxServer
from tests.support.in_memory_provider import provider as in_memory
from tests.support.interrupted_reads import read_while
from tests.support.stripe_calls import (
    call_options,
    calls_since,
    last_call_number,
    params,
    provider,
    refunded,
)

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1)
STRIPE, MEMORY = "payments.providers.stripe", "tests.support.in_memory_provider"


@pytest.fixture(autouse=True)
def own_installation(settings: Settings) -> None:
    settings.INSTALLATION_ID = uuid4().hex


def held(
    settings: Settings, order_id: str, payment_method: str = "pm_card_visa"
) -> ProviderPayment:
    """Make a payment of ours whose money is held."""
    metadata = {"installation_id": settings.INSTALLATION_ID, "order_id": order_id}
    payment = provider.create_payment(params(payment_method, metadata=metadata), **call_options())
    return provider.confirm_payment(payment.id, params(), **call_options())


def taken(
    settings: Settings, order_id: str, payment_method: str = "pm_card_visa"
) -> ProviderPayment:
    """Make a payment of ours whose money is captured."""
    intent = held(settings, order_id, payment_method)
    return provider.capture_payment(intent.id, amount_minor=1200, currency="eur", **call_options())


def held_in_memory(settings: Settings) -> ProviderPayment:
    """Make a payment of ours whose money is held at the provider in memory."""
    metadata = {"installation_id": settings.INSTALLATION_ID, "order_id": "in memory"}
    in_memory.PROVIDER.start_over()
    request = PaymentRequest(1200, "eur", in_memory.CARD, metadata)
    sent = in_memory.PROVIDER.payment_params(request)
    payment = in_memory.PROVIDER.create_payment(sent, **call_options())
    return in_memory.PROVIDER.confirm_payment(payment.id, sent, **call_options())


def test_held_captured_and_refunded_amounts_are_read(
    sandbox_stripe: SandboxServer, settings: Settings
) -> None:
    kept, returned = taken(settings, "a"), taken(settings, "b")
    refunded(returned, 700)
    refunded(returned, 500)

    reading = read_providers()

    assert reading.complete_since is None
    assert reading.payments == [
        ProviderPaymentState("stripe", returned.id, "b", "captured", "eur", 0, 1200, 1200),
        ProviderPaymentState("stripe", kept.id, "a", "captured", "eur", 0, 1200, 0),
    ]
    assert [state.net_minor for state in reading.payments] == [0, 1200]


def test_a_failed_refund_does_not_count(sandbox_stripe: SandboxServer, settings: Settings) -> None:
    refunded(taken(settings, "a", "pm_card_refundFail"))
    sandbox_stripe.advance(3600)

    (account,) = read_providers().payments

    assert (account.refunded_minor, account.net_minor) == (0, 1200)


def test_payments_of_other_installations_are_left_out(
    sandbox_stripe: SandboxServer, settings: Settings
) -> None:
    taken(settings, "theirs")
    settings.INSTALLATION_ID = uuid4().hex
    ours = taken(settings, "ours")

    assert [state.provider_payment_id for state in read_providers().payments] == [ours.id]


def test_one_list_of_payments_and_one_of_refunds_is_read(
    sandbox_stripe: SandboxServer, settings: Settings
) -> None:
    sandbox_stripe.advance(7200)
    for order_id in "abc":
        refunded(taken(settings, order_id))
    seen = last_call_number(sandbox_stripe)

    reading = read_recent(HOUR + timedelta(days=1))

    assert len(reading.payments) == 3
    assert [operation for operation, _ in calls_since(sandbox_stripe, seen)] == [
        "refunds.list",
        "payment_intents.list",
    ]


@pytest.mark.parametrize(
    ("before", "refunded_minor"), [("refunds.list", 1200), ("payment_intents.list", 0)]
)
def test_a_capture_and_refund_during_a_reading_never_show_more_refunded_than_captured(
    sandbox_stripe: SandboxServer, settings: Settings, before: str, refunded_minor: int
) -> None:
    intent = held(settings, "a")

    def capture_and_refund() -> None:
        provider.capture_payment(intent.id, amount_minor=1200, currency="eur", **call_options())
        refunded(intent)

    reading = read_while(capture_and_refund, sandbox_stripe, before, read_providers)

    assert reading.payments == [
        ProviderPaymentState("stripe", intent.id, "a", "captured", "eur", 0, 1200, refunded_minor)
    ]


@pytest.mark.parametrize(
    ("before", "refunded_minor"), [("refunds.list", 1200), ("payment_intents.retrieve", 0)]
)
def test_reading_single_payments_never_shows_more_refunded_than_captured(
    sandbox_stripe: SandboxServer, settings: Settings, before: str, refunded_minor: int
) -> None:
    intent = held(settings, "a")

    def capture_and_refund() -> None:
        provider.capture_payment(intent.id, amount_minor=1200, currency="eur", **call_options())
        refunded(intent)

    reading = read_while(
        capture_and_refund,
        sandbox_stripe,
        before,
        lambda: read_payments([PaymentKey("stripe", intent.id)]),
    )

    assert reading.payments == [
        ProviderPaymentState("stripe", intent.id, "a", "captured", "eur", 0, 1200, refunded_minor)
    ]


@pytest.mark.parametrize("before", ["refunds.list", "payment_intents.list"])
def test_earlier_refunds_are_read_despite_changes_during_the_reading(
    sandbox_stripe: SandboxServer, settings: Settings, before: str
) -> None:
    intent, other = taken(settings, "a"), taken(settings, "b")
    refunded(intent)

    reading = read_while(lambda: refunded(other), sandbox_stripe, before, read_providers)

    returned = {state.provider_payment_id: state.refunded_minor for state in reading.payments}
    assert returned[intent.id] == 1200


@pytest.mark.parametrize("before", ["refunds.list", "payment_intents.list"])
def test_a_payment_created_during_a_reading_hides_no_other(
    sandbox_stripe: SandboxServer, settings: Settings, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    monkeypatch.setattr(stripe_provider, "PAGE", 1)
    older, newer = taken(settings, "a"), taken(settings, "b")
    refunded(older)
    refunded(newer)

    reading = read_while(lambda: taken(settings, "c"), sandbox_stripe, before, read_providers)

    assert {"a": 1200, "b": 1200}.items() <= {
        state.order_id: state.refunded_minor for state in reading.payments
    }.items()


def test_a_reading_of_a_window_says_from_when_it_is_complete(
    sandbox_stripe: SandboxServer, settings: Settings
) -> None:
    taken(settings, "old")
    sandbox_stripe.advance(7200)

    reading = read_recent(HOUR)
    whole = read_providers(within=timedelta(days=3))

    assert whole.complete_since == whole.read_at - timedelta(days=3) + CLOCK_TOLERANCE
    assert reading.complete_since == reading.read_at - HOUR + CLOCK_TOLERANCE


def test_a_limited_reading_says_from_when_it_is_complete(
    sandbox_stripe: SandboxServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    intents = []
    for order_id in "abcd":
        sandbox_stripe.advance(60)
        intents.append(taken(settings, order_id))
    monkeypatch.setattr(provider_reconciliation, "MAX_RECENT_OBJECTS", 3)

    reading = read_recent(timedelta(days=1))

    # Other payments may have been made in the same second as the third newest.
    assert [state.provider_payment_id for state in reading.payments] == [
        intents[3].id,
        intents[2].id,
    ]
    assert reading.complete_since == intents[1].created_at + timedelta(seconds=1) + CLOCK_TOLERANCE


@pytest.mark.parametrize("packages", [[STRIPE, MEMORY], [MEMORY, STRIPE]])
def test_a_reading_of_several_providers_is_complete_from_where_each_is(
    sandbox_stripe: SandboxServer,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    packages: list[str],
) -> None:
    intents = []
    for order_id in "abcd":
        sandbox_stripe.advance(60)
        intents.append(taken(settings, order_id))
    elsewhere = held_in_memory(settings)
    settings.PAYMENT_PROVIDERS = packages
    monkeypatch.setattr(provider_reconciliation, "MAX_RECENT_OBJECTS", 3)

    reading = read_recent(timedelta(days=1))

    assert {state.key for state in reading.payments} == {
        PaymentKey("in_memory_provider", elsewhere.id),
        PaymentKey("stripe", intents[2].id),
        PaymentKey("stripe", intents[3].id),
    }
    assert reading.complete_since == intents[1].created_at + timedelta(seconds=1) + CLOCK_TOLERANCE


@pytest.mark.parametrize("packages", [[STRIPE, MEMORY], [MEMORY, STRIPE]])
def test_a_payment_is_read_again_from_its_own_provider(
    sandbox_stripe: SandboxServer, settings: Settings, packages: list[str]
) -> None:
    ours, elsewhere = held(settings, "a"), held_in_memory(settings)
    settings.PAYMENT_PROVIDERS = packages
    keys = [PaymentKey("stripe", ours.id), PaymentKey("in_memory_provider", elsewhere.id)]

    reading = read_payments(keys)

    assert [state.key for state in reading.payments] == keys
    assert [state.order_id for state in reading.payments] == ["a", "in memory"]


def test_a_limit_on_refunds_limits_the_payments_too(
    sandbox_stripe: SandboxServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    intents = []
    for order_id in "ab":
        sandbox_stripe.advance(60)
        intents.append(taken(settings, order_id))
    sandbox_stripe.advance(60)
    refunds = [refunded(intents[0], amount_minor=10) for _ in range(5)]
    sandbox_stripe.advance(60)
    newest = taken(settings, "c")
    monkeypatch.setattr(provider_reconciliation, "MAX_RECENT_OBJECTS", 5)

    reading = read_recent(timedelta(days=1))

    # A refund is never older than its payment: payments whose refunds may be missing are left out.
    assert [state.provider_payment_id for state in reading.payments] == [newest.id]
    assert reading.complete_since == (
        refunds[0].created_at + timedelta(seconds=1) + CLOCK_TOLERANCE
    )


def test_single_payments_can_be_read_again(
    sandbox_stripe: SandboxServer, settings: Settings
) -> None:
    returned = taken(settings, "a")
    taken(settings, "b")
    refunded(returned, 700)

    reading = read_payments([PaymentKey("stripe", returned.id), PaymentKey("stripe", "pi_unknown")])

    assert reading.payments == [
        ProviderPaymentState("stripe", returned.id, "a", "captured", "eur", 0, 1200, 700)
    ]


def test_a_reading_without_an_answer_is_an_error(
    sandbox_stripe: SandboxServer, settings: Settings
) -> None:
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"

    with pytest.raises(OutcomeUnknown):
        read_providers()
    with pytest.raises(OutcomeUnknown):
        read_recent(HOUR)
    with pytest.raises(OutcomeUnknown):
        read_payments([PaymentKey("stripe", "pi_1")])
