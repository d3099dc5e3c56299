"""What every test may ask for: a broker in memory, a bank, a customer, a shelf."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.contrib.auth.models import User
from django.db import connection
from django.test import TransactionTestCase
from pytest_django import DjangoDbBlocker, Settings

from sagas import dispatch
from sandbox.stripe_process import SandboxServer
from tests.support.database import empty_all_tables, end_other_sessions
from tests.support.in_memory_broker import MessageQueue
from tests.support.shelf import Shelf

PATIENT = {
    "connect_timeout": 60,
    "options": "-c statement_timeout=60s -c lock_timeout=60s -c idle_in_transaction_session_timeout=60s",
}


CHEAP_HASHES = {"time_cost": 1, "memory_cost": 8, "parallelism": 1}
"""The least that Argon2 takes; a hash names its costs, so production can verify it as well."""


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Prepare the test database, which is empty after each test: without permissions, too.

    Statements and locks may take longer than in production: a test may have fifty threads on a
    busy machine.
    """
    connection.settings_dict["OPTIONS"] = {**connection.settings_dict["OPTIONS"], **PATIENT}
    with django_db_blocker.unblock():
        connection.close()
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(TransactionTestCase, "_fixture_teardown", lambda _: empty_all_tables())
        for name, value in CHEAP_HASHES.items():
            patches.setattr(Argon2PasswordHasher, name, value)
        yield


@pytest.fixture(scope="module")
def disconnected_threads(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """For threads that outlive their tests: the connections that they keep may not."""
    yield
    with django_db_blocker.unblock():
        end_other_sessions()


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> MessageQueue:
    """Every message of a saga comes here, and moves only when the test delivers it."""
    queue = MessageQueue()
    monkeypatch.setattr(dispatch.publisher, "hand_over", queue.hand_over)
    return queue


@pytest.fixture(scope="session")
def _sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    server = SandboxServer(tmp_path_factory.mktemp("sandbox"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def sandbox(_sandbox_process: SandboxServer) -> SandboxServer:
    """The Stripe sandbox of this session, with empty books for each module; use ``sandbox_stripe``."""
    _sandbox_process.start_over()
    return _sandbox_process


@pytest.fixture
def sandbox_stripe(sandbox: SandboxServer, settings: Settings) -> Iterator[SandboxServer]:
    """The sandbox, without faults before and after the test, and without a limit on calls."""
    settings.STRIPE_API_BASE = sandbox.url
    settings.STRIPE_API_KEY = "sk_test_sandbox"
    settings.STRIPE_CALLS_PER_SECOND = 0
    yield sandbox
    sandbox.clear_faults()


@pytest.fixture
def customer(transactional_db: None) -> User:
    return User.objects.create(username="alice")


@pytest.fixture
def shelf(transactional_db: None) -> Shelf:
    return Shelf()
