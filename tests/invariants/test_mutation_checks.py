"""Every invariant finds what breaks it, and names nothing else."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from invariants.catalogue import INVARIANTS
from invariants.checking import EVERYTHING, RECENT, Examination, Progress, Scope
from sagas import dispatch
from sandbox.stripe_process import SandboxServer
from tests.support.in_memory_broker import MessageQueue
from tests.support.order_history import Books, keep_books
from tests.support.violations import PLANTINGS, Planting

pytestmark = pytest.mark.django_db  # each test's planting is rolled back

LATELY = Scope(changed_within=RECENT)


@pytest.fixture(scope="module")
def history(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, sandbox: SandboxServer
) -> Iterator[Books]:
    """The same books for all tests, committed."""
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


def found(books: Books, scope: Scope) -> set[tuple[str, str]]:
    examination = Examination(books.reading, scope, timedelta(), Progress.ON_TIME)
    return {
        (each.code, each.subject)
        for invariant in INVARIANTS
        for each in examination.findings(invariant)
    }


def subject(books: Books, name: str) -> str:
    return books[name] if name in books.orders else name


@pytest.mark.parametrize("scope", [EVERYTHING, LATELY], ids=["full", "lately"])
def test_books_that_are_right_have_no_findings(books: Books, scope: Scope) -> None:
    assert found(books, scope) == set()


@pytest.mark.parametrize("planting", PLANTINGS, ids=lambda each: f"{each.code}: {each.name}")
def test_what_is_planted_is_found_and_nothing_else(books: Books, planting: Planting) -> None:
    expected = {
        (code, subject(books, name))
        for code, name in ((planting.code, planting.subject), *planting.also)
    }
    sums = {each.code for each in INVARIANTS if each.sums_history}

    planting.plant(books)

    assert found(books, EVERYTHING) == expected
    if planting.is_seen_lately:
        assert found(books, LATELY) == {each for each in expected if each[0] not in sums}
    else:
        assert found(books, LATELY) == set()


def test_every_invariant_has_a_planting() -> None:
    assert {each.code for each in PLANTINGS} == {each.code for each in INVARIANTS}


def test_no_two_invariants_have_one_code() -> None:
    assert len({each.code for each in INVARIANTS}) == len(INVARIANTS)
