"""What each operation does at Stripe, and when it is not sent."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection, transaction
from pytest_django import Settings

from payments.errors import CallInsideTransaction, NotDoneYet
from payments.provider_types import ProviderPaymentStatus, RefundStatus
from sandbox.stripe_process import SandboxServer
from tests.support.stripe_calls import (
    authorized,
    call_options,
    calls_since,
    captured,
    created,
    deadline_in,
    last_call_number,
    params,
    provider,
    refunded,
)


def test_a_new_payment_holds_no_money(sandbox_stripe: SandboxServer) -> None:
    intent = created()

    assert intent.status is ProviderPaymentStatus.CREATED
    assert (intent.amount_minor, intent.currency) == (1200, "eur")
    assert (intent.held_minor, intent.captured_minor) == (0, 0)
    assert intent.metadata == {"order_id": "42"}
    assert intent.decline_code == ""
    assert abs(intent.created_at.timestamp() - sandbox_stripe.ledger()["now"]) < 60


def test_a_confirmed_payment_holds_the_money_and_takes_none(sandbox_stripe: SandboxServer) -> None:
    intent = authorized()

    assert intent.status is ProviderPaymentStatus.AUTHORIZED
    assert (intent.held_minor, intent.captured_minor) == (1200, 0)


def test_a_partial_capture_releases_the_rest(sandbox_stripe: SandboxServer) -> None:
    intent = provider.capture_payment(
        authorized().id, amount_minor=700, currency="eur", **call_options()
    )

    assert intent.status is ProviderPaymentStatus.CAPTURED
    assert (intent.held_minor, intent.captured_minor) == (0, 700)


def test_a_cancelled_payment_holds_no_money(sandbox_stripe: SandboxServer) -> None:
    intent = provider.cancel_payment(authorized().id, **call_options())

    assert intent.status is ProviderPaymentStatus.CANCELLED
    assert (intent.held_minor, intent.captured_minor) == (0, 0)


def test_a_payment_is_retrieved_in_its_current_state(sandbox_stripe: SandboxServer) -> None:
    intent = authorized()

    assert provider.retrieve_payment(intent.id, deadline=deadline_in()) == intent


def test_a_refund_is_returned_and_listed(sandbox_stripe: SandboxServer) -> None:
    intent = captured()

    refund = refunded(intent, amount_minor=500)

    assert refund.status is RefundStatus.SUCCEEDED
    assert (refund.payment_id, refund.amount_minor, refund.currency) == (intent.id, 500, "eur")
    assert (refund.metadata, refund.failure_reason) == ({"refund_id": "7"}, "")
    assert provider.list_refunds(intent.id, deadline=deadline_in()) == [refund]


def test_a_refund_that_fails_later_has_a_failure_reason(sandbox_stripe: SandboxServer) -> None:
    intent = captured("pm_card_refundFail")
    refund = refunded(intent)
    sandbox_stripe.advance(3600)

    (failed,) = provider.list_refunds(intent.id, deadline=deadline_in())

    assert failed.id == refund.id
    assert failed.status is RefundStatus.FAILED
    assert failed.failure_reason != ""


def test_a_payment_without_refunds_lists_none(sandbox_stripe: SandboxServer) -> None:
    assert provider.list_refunds(captured().id, deadline=deadline_in()) == []


def test_all_pages_of_payments_since_a_time_are_listed(sandbox_stripe: SandboxServer) -> None:
    sandbox_stripe.advance(100)
    before = created()
    sandbox_stripe.advance(100)
    with ThreadPoolExecutor(8) as threads:
        since = list(threads.map(lambda _: created(), range(250)))
    seen = last_call_number(sandbox_stripe)

    listed = list(
        provider.list_payments(
            created_from=before.created_at + timedelta(seconds=1), deadline=deadline_in()
        )
    )

    assert len(listed) == 250
    assert {payment.id for payment in listed} == {payment.id for payment in since}
    assert calls_since(sandbox_stripe, seen) == [("payment_intents.list", 200)] * 3


def test_payments_are_listed_from_the_given_second_on(sandbox_stripe: SandboxServer) -> None:
    sandbox_stripe.advance(100)
    first, second = created(), created()

    listed = provider.list_payments(created_from=first.created_at, deadline=deadline_in())

    assert {payment.id for payment in listed} == {first.id, second.id}


def test_refunds_of_all_payments_since_a_time_are_listed(
    sandbox_stripe: SandboxServer,
) -> None:
    sandbox_stripe.advance(100)
    older = refunded(captured(), amount_minor=1)
    sandbox_stripe.advance(100)
    first, second = refunded(captured(), amount_minor=2), refunded(captured(), amount_minor=3)
    seen = last_call_number(sandbox_stripe)

    listed = list(provider.list_refunds_since(first.created_at, deadline=deadline_in()))

    assert listed == [second, first]
    assert older not in listed
    assert calls_since(sandbox_stripe, seen) == [("refunds.list", 200)]


OPERATIONS: dict[str, Callable[[], object]] = {
    "create_payment": lambda: provider.create_payment(params(), **call_options()),
    "confirm_payment": lambda: provider.confirm_payment("pi_1", params(), **call_options()),
    "capture_payment": lambda: provider.capture_payment(
        "pi_1", amount_minor=1, currency="eur", **call_options()
    ),
    "cancel_payment": lambda: provider.cancel_payment("pi_1", **call_options()),
    "retrieve_payment": lambda: provider.retrieve_payment("pi_1", deadline=deadline_in()),
    "list_payments": lambda: list(
        provider.list_payments(created_from=datetime.now(UTC), deadline=deadline_in())
    ),
    "create_refund": lambda: provider.create_refund(
        "pi_1", amount_minor=1, currency="eur", metadata={}, **call_options()
    ),
    "list_refunds": lambda: provider.list_refunds("pi_1", deadline=deadline_in()),
    "list_refunds_since": lambda: list(
        provider.list_refunds_since(datetime.now(UTC), deadline=deadline_in())
    ),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_operation_runs_inside_a_transaction(
    sandbox_stripe: SandboxServer, operation: str
) -> None:
    seen = last_call_number(sandbox_stripe)

    with transaction.atomic(), pytest.raises(CallInsideTransaction, match=operation):
        OPERATIONS[operation]()

    assert calls_since(sandbox_stripe, seen) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_operation_runs_with_an_open_database_session_transaction(
    sandbox_stripe: SandboxServer, operation: str
) -> None:
    seen = last_call_number(sandbox_stripe)
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")

    with pytest.raises(CallInsideTransaction, match=operation):
        OPERATIONS[operation]()

    with connection.cursor() as cursor:
        cursor.execute("ROLLBACK")
    assert calls_since(sandbox_stripe, seen) == []


@pytest.mark.django_db(transaction=True)
def test_calls_work_again_after_the_transaction_ends(
    sandbox_stripe: SandboxServer,
) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1")

    assert created().status is ProviderPaymentStatus.CREATED


@pytest.mark.parametrize(
    ("key", "url"),
    [
        ("sk_test_key", "https://dashboard.stripe.com/test/payments/pi_1"),
        ("rk_live_key", "https://dashboard.stripe.com/payments/pi_1"),
    ],
)
def test_the_dashboard_url_depends_on_the_api_keys_mode(
    settings: Settings, key: str, url: str
) -> None:
    settings.STRIPE_API_KEY, settings.STRIPE_API_BASE = key, ""

    assert provider.dashboard_url("pi_1") == url
    assert provider.dashboard_url("re_1") is None

    settings.STRIPE_API_BASE = "http://127.0.0.1:9"

    assert provider.dashboard_url("pi_1") is None


def test_ids_have_at_most_255_characters() -> None:
    assert provider.accepts_payment_method("pm_" + "a" * 252)
    assert not provider.accepts_payment_method("pm_" + "a" * 253)
    assert provider.recognizes_id("pi_" + "a" * 250)
    assert not provider.recognizes_id("pi_" + "a" * 253)


def create_many() -> None:
    for _ in range(1000):
        created()


def test_the_rate_limit_applies_to_each_call(
    sandbox_stripe: SandboxServer, settings: Settings
) -> None:
    settings.STRIPE_API_KEY = f"sk_test_{uuid4().hex}"
    settings.STRIPE_CALLS_PER_SECOND = 1
    seen = last_call_number(sandbox_stripe)

    with pytest.raises(NotDoneYet, match="our own limit"):
        create_many()

    assert 1 <= len(sandbox_stripe.calls(seen)) < 1000
