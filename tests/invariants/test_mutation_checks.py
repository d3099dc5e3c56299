"""Every invariant finds its planted violations, and nothing else."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from invariants.catalogue import INVARIANTS
from invariants.checking import ALL_ORDERS, RECENT, Examination, OrderScope, Strictness
from sagas import dispatch
from sandbox.stripe_process import SandboxServer
from tests.support.in_memory_broker import MessageQueue
from tests.support.order_history import OrderHistory, place_sample_orders
from tests.support.outside_services import declared_addresses
from tests.support.violations.catalogue import VIOLATIONS
from tests.support.violations.statements import Violation

pytestmark = pytest.mark.django_db  # each test's violation is rolled back

LAST_HOUR = OrderScope(changed_within=RECENT)


@pytest.fixture(scope="module")
def committed_history(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, sandbox: SandboxServer
) -> Iterator[OrderHistory]:
    """The same orders for all tests, committed."""
    sandbox_settings = override_settings(
        STRIPE_API_BASE=sandbox.url,
        STRIPE_API_KEY="sk_test_sandbox",
        STRIPE_CALLS_PER_SECOND=0,
        **declared_addresses(),
    )
    messages = MessageQueue()
    with django_db_blocker.unblock(), sandbox_settings, pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatch.publisher, "enqueue", messages.enqueue)
        yield place_sample_orders(sandbox, messages)
        call_command("flush", interactive=False, verbosity=0, inhibit_post_migrate=True)


@pytest.fixture
def history(committed_history: OrderHistory) -> OrderHistory:
    return OrderHistory(committed_history.orders, committed_history.reading)


def found(history: OrderHistory, scope: OrderScope) -> set[tuple[str, str]]:
    examination = Examination(history.reading, scope, timedelta(), Strictness.ON_TIME)
    return {
        (finding.code, finding.subject)
        for invariant in INVARIANTS
        for finding in examination.findings(invariant)
    }


def subject(history: OrderHistory, name: str) -> str:
    return history[name] if name in history.orders else name


@pytest.mark.parametrize("scope", [ALL_ORDERS, LAST_HOUR], ids=["full", "lately"])
def test_a_correct_history_has_no_findings(history: OrderHistory, scope: OrderScope) -> None:
    assert found(history, scope) == set()


def test_a_payment_with_the_same_id_at_another_provider_is_another_payment(
    history: OrderHistory,
) -> None:
    for state in history.reading.payments:
        history.add_at_provider(
            "confirmed",
            provider="elsewhere",
            provider_payment_id=state.provider_payment_id,
            order_id="",
            status="created",
            captured_minor=0,
        )

    assert found(history, ALL_ORDERS) == set()


@pytest.mark.parametrize(
    "violation", VIOLATIONS, ids=lambda violation: f"{violation.code}: {violation.name}"
)
def test_each_planted_violation_is_found_and_nothing_else(
    history: OrderHistory, violation: Violation
) -> None:
    expected = {
        (code, subject(history, name))
        for code, name in ((violation.code, violation.subject), *violation.also)
    }
    sums = {invariant.code for invariant in INVARIANTS if invariant.sums_history}

    violation.apply(history)

    assert found(history, ALL_ORDERS) == expected
    if violation.is_recent:
        assert found(history, LAST_HOUR) == {
            (code, subject) for code, subject in expected if code not in sums
        }
    else:
        assert found(history, LAST_HOUR) == set()


def test_every_invariant_has_a_planted_violation() -> None:
    assert {violation.code for violation in VIOLATIONS} == {
        invariant.code for invariant in INVARIANTS
    }


def test_invariant_codes_are_unique() -> None:
    assert len({invariant.code for invariant in INVARIANTS}) == len(INVARIANTS)
