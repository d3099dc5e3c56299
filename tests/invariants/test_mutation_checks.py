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
from tests.support.order_history import Books, keep_books
from tests.support.violations import PLANTINGS, Planting

pytestmark = pytest.mark.django_db  # each test's planting is rolled back

LAST_HOUR = OrderScope(changed_within=RECENT)


@pytest.fixture(scope="module")
def history(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, sandbox: SandboxServer
) -> Iterator[Books]:
    """The same committed history for all tests."""
    sandbox_settings = override_settings(
        STRIPE_API_BASE=sandbox.url, STRIPE_API_KEY="sk_test_sandbox", STRIPE_CALLS_PER_SECOND=0
    )
    messages = MessageQueue()
    with django_db_blocker.unblock(), sandbox_settings, pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatch.publisher, "hand_over", messages.hand_over)
        yield keep_books(sandbox, messages)
        call_command("flush", interactive=False, verbosity=0, inhibit_post_migrate=True)


@pytest.fixture
def books(history: Books) -> Books:
    return Books(history.orders, history.reading)


def found(books: Books, scope: OrderScope) -> set[tuple[str, str]]:
    examination = Examination(books.reading, scope, timedelta(), Strictness.ON_TIME)
    return {
        (finding.code, finding.subject)
        for invariant in INVARIANTS
        for finding in examination.findings(invariant)
    }


def subject(books: Books, name: str) -> str:
    return books[name] if name in books.orders else name


@pytest.mark.parametrize("scope", [ALL_ORDERS, LAST_HOUR], ids=["full", "lately"])
def test_a_correct_history_has_no_findings(books: Books, scope: OrderScope) -> None:
    assert found(books, scope) == set()


@pytest.mark.parametrize(
    "planting", PLANTINGS, ids=lambda planting: f"{planting.code}: {planting.name}"
)
def test_each_planted_violation_is_found_and_nothing_else(books: Books, planting: Planting) -> None:
    expected = {
        (code, subject(books, name))
        for code, name in ((planting.code, planting.subject), *planting.also)
    }
    sums = {invariant.code for invariant in INVARIANTS if invariant.sums_history}

    planting.plant(books)

    assert found(books, ALL_ORDERS) == expected
    if planting.is_seen_lately:
        assert found(books, LAST_HOUR) == {
            (code, subject) for code, subject in expected if code not in sums
        }
    else:
        assert found(books, LAST_HOUR) == set()


def test_every_invariant_has_a_planted_violation() -> None:
    assert {planting.code for planting in PLANTINGS} == {invariant.code for invariant in INVARIANTS}


def test_invariant_codes_are_unique() -> None:
    assert len({invariant.code for invariant in INVARIANTS}) == len(INVARIANTS)
