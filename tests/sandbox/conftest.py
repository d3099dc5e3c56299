"""A shared sandbox for tests that only send requests, and a private one for tests that kill it."""

from collections.abc import Iterator

import pytest
import stripe  # noqa: TID251 - the contract under test

from sandbox.stripe_process import SandboxServer
from tests.support.stripe_http import TEST_KEY, RawApi


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    server = SandboxServer(tmp_path_factory.mktemp("stripe"))
    yield server
    server.stop()


@pytest.fixture
def server(shared_server: SandboxServer) -> Iterator[SandboxServer]:
    """The shared sandbox, without faults. Tests must not kill it or move its clock."""
    yield shared_server
    shared_server.clear_faults()
    shared_server.set_latency(0)


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    """A sandbox that the test may kill and restart, and whose clock it may move."""
    server = SandboxServer(tmp_path_factory.mktemp("stripe"))
    yield server
    server.stop()


@pytest.fixture
def api(server: SandboxServer) -> Iterator[RawApi]:
    api = RawApi(server.url)
    yield api
    api.close()


@pytest.fixture
def own_api(own_server: SandboxServer) -> Iterator[RawApi]:
    api = RawApi(own_server.url)
    yield api
    api.close()


@pytest.fixture
def client(server: SandboxServer) -> Iterator[stripe.StripeClient]:
    """The official library without retries, which would hide what is under test."""
    http = stripe.RequestsClient(timeout=60)
    yield stripe.StripeClient(
        TEST_KEY, base_addresses={"api": server.url}, http_client=http, max_network_retries=0
    )
    http.close()  # type: ignore[no-untyped-call] # the library leaves it untyped
