"""Each test of this folder runs once for every provider."""

import pytest
from pytest_django import Settings

from sandbox.stripe_process import SandboxServer
from tests.payments.contract.providers import ProviderUnderTest, memory, stripe
from tests.support.in_memory_provider.provider import PROVIDER


@pytest.fixture(params=["stripe", "in_memory_provider"])
def tested(
    request: pytest.FixtureRequest, sandbox_stripe: SandboxServer, settings: Settings
) -> ProviderUnderTest:
    """The provider under test, the only one of the installation."""
    PROVIDER.start_over()
    chosen = stripe(sandbox_stripe) if request.param == "stripe" else memory()
    settings.PAYMENT_PROVIDERS = [chosen.package]
    return chosen
