"""A bank of the tests' own: the sandbox, with the gateway pointed at it."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.sandbox_server import SandboxServer


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    server = SandboxServer(tmp_path_factory.mktemp("sandbox"))
    yield server
    server.stop()


@pytest.fixture
def bank(sandbox: SandboxServer, settings: Settings) -> Iterator[SandboxServer]:
    """The sandbox, without faults before and after the test, and without a limit on calls."""
    settings.STRIPE_API_BASE = sandbox.url
    settings.STRIPE_API_KEY = "sk_test_sandbox"
    settings.STRIPE_CALLS_PER_SECOND = 0
    yield sandbox
    sandbox.clear_faults()
