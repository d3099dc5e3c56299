"""The fixtures of all tests: a broker in memory, the sandbox, a customer, stock, a shop, a storefront."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.contrib.auth.models import User
from django.db import connection
from django.test import TransactionTestCase
from pytest_django import DjangoDbBlocker, Settings

from access.credentials import Scope
from sagas import dispatch
from sagas.queries.recent_waits import recent_waits
from sandbox.database_mark import mark_database
from sandbox.outside_service.process import OutsideServiceProcess
from sandbox.outside_service.services import setting_of
from sandbox.stripe_process import SandboxServer
from tests.support import clock
from tests.support.database import empty_all_tables, end_other_sessions
from tests.support.in_memory_broker import MessageQueue
from tests.support.outside_services import OutsideServices, StartOutsideService
from tests.support.shop import Shelf, Shop
from tests.support.storefront_client import Storefront

LONG_TIMEOUTS = {
    "connect_timeout": 60,
    "options": "-c statement_timeout=60s -c lock_timeout=60s -c idle_in_transaction_session_timeout=60s",
}


CHEAP_HASHES = {"time_cost": 1, "memory_cost": 8, "parallelism": 1}
"""The lowest costs that Argon2 takes. A hash names its costs, so that production can verify it."""


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Prepare the test database. It is empty after each test: permissions are missing, too.

    Statements and locks may take longer than in production: a test may have fifty threads on a
    busy machine.
    """
    connection.settings_dict["OPTIONS"] = {**connection.settings_dict["OPTIONS"], **LONG_TIMEOUTS}
    with django_db_blocker.unblock():
        connection.close()
        mark_database([])
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(TransactionTestCase, "_fixture_teardown", lambda _: empty_all_tables())
        # The next test uses the same connection: a new one has read no table's definition yet.
        patches.setattr(
            TransactionTestCase, "_should_reload_connections", lambda _: not connection.is_usable()
        )
        for name, value in CHEAP_HASHES.items():
            patches.setattr(Argon2PasswordHasher, name, value)
        # Each test client makes the middleware anew: it must not read all static files each time.
        patches.setattr(settings, "WHITENOISE_AUTOREFRESH", True)
        yield
    with django_db_blocker.unblock():
        end_other_sessions()  # a thread that outlives its test would keep the database from being dropped


@pytest.fixture(autouse=True)
def _real_time(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Return to the real time after a test that has moved the clock."""
    yield
    with django_db_blocker.unblock():
        clock.reset_if_moved()


@pytest.fixture(autouse=True)
def _counts_of_waits_are_fresh() -> None:
    """Forget the counts of waiting runs that an earlier test has read."""
    recent_waits.forget()


@pytest.fixture(scope="module")
def disconnected_threads(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """Close, after the module, the connections of threads that outlive their tests."""
    yield
    with django_db_blocker.unblock():
        end_other_sessions()


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> MessageQueue:
    """The queue that gets every message of a saga. A test delivers the messages itself."""
    queue = MessageQueue()
    monkeypatch.setattr(dispatch.publisher, "enqueue", queue.enqueue)
    return queue


@pytest.fixture(scope="session")
def _sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    server = SandboxServer(tmp_path_factory.mktemp("sandbox"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _outside_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutsideServices]:
    services = OutsideServices(tmp_path_factory.mktemp("outside-services"))
    yield services
    services.stop()


@pytest.fixture(scope="module")
def sandbox(_sandbox_process: SandboxServer, _outside_processes: OutsideServices) -> SandboxServer:
    """The Stripe sandbox of this session. A module starts with an empty ledger; use ``sandbox_stripe``.

    Every other service of ``sandbox/outside_service/services.py`` runs too.
    """
    _sandbox_process.start_over()
    _outside_processes.start_declared()
    return _sandbox_process


@pytest.fixture
def outside_services(_outside_processes: OutsideServices, settings: Settings) -> OutsideServices:
    """The services besides Stripe. The declared ones run, without acts, faults and added rules.

    The setting of each has its address.
    """
    for name, address in _outside_processes.start_declared().items():
        setattr(settings, name, address)
    return _outside_processes


@pytest.fixture
def sandbox_stripe(
    sandbox: SandboxServer, outside_services: OutsideServices, settings: Settings
) -> Iterator[SandboxServer]:
    """The sandbox, without faults before and after the test, and without a limit on calls."""
    settings.STRIPE_API_BASE = sandbox.url
    settings.STRIPE_API_KEY = "sk_test_sandbox"
    settings.STRIPE_CALLS_PER_SECOND = 0
    yield sandbox
    sandbox.clear_faults()


@pytest.fixture
def outside_service(outside_services: OutsideServices, settings: Settings) -> StartOutsideService:
    """Start a service that is not Stripe: ``fraud = outside_service("fraud")`` sets FRAUD_URL.

    It answers by its rules in ``sandbox/outside_service/services.py``, and by those that the test
    adds. ``fraud.add_fault`` makes it fail; ``fraud.acts`` and ``fraud.calls`` return what it did.
    """

    def start(name: str) -> OutsideServiceProcess:
        service = outside_services.start(name)
        setattr(settings, setting_of(name), service.url)
        return service

    return start


@pytest.fixture
def customer(transactional_db: None) -> User:
    """Alice."""
    return User.objects.create(username="alice")


@pytest.fixture
def shelf(transactional_db: None) -> Shelf:
    """The stock of the main warehouse: empty."""
    return Shelf()


@pytest.fixture
def mugs_and_tees(shelf: Shelf) -> None:
    """Five mugs at 10.00 and five T-shirts at 25.00."""
    shelf.put_mugs_and_tees()


@pytest.fixture
def shop(
    customer: User, mugs_and_tees: None, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> Shop:
    """A shop that takes orders without the API. Its orders wait until the test delivers messages."""
    return Shop(customer, sandbox_stripe, messages)


@pytest.fixture
def storefront(customer: User, mugs_and_tees: None, messages: MessageQueue) -> Storefront:
    """Alice's client of the API. Her orders wait until the test delivers their messages."""
    return Storefront(customer)


@pytest.fixture
def stranger(transactional_db: None) -> Storefront:
    """Mallory's client of the API."""
    return Storefront(User.objects.create(username="mallory"))


@pytest.fixture
def shop_server(transactional_db: None) -> Storefront:
    """The API client of the shop's own server, with the scope ``shop``."""
    return Storefront(User.objects.create(username="web-shop"), scopes=list(Scope))
