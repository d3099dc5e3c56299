"""Each test of this folder runs once for every provider."""

from collections.abc import Sequence

import pytest
from pytest_django import Settings

from tests.payments.contract.providers import PROVIDERS, ProviderUnderTest, name_of


@pytest.fixture(params=PROVIDERS, ids=name_of)
def tested(request: pytest.FixtureRequest, settings: Settings) -> ProviderUnderTest:
    """The provider under test, the only one of the installation."""
    chosen: ProviderUnderTest = request.param(request)
    settings.PAYMENT_PROVIDERS = [chosen.package]
    return chosen


@pytest.fixture
def all_tested(request: pytest.FixtureRequest, settings: Settings) -> Sequence[ProviderUnderTest]:
    """Every provider under test, all of them in one installation."""
    chosen = [make_provider(request) for make_provider in PROVIDERS]
    settings.PAYMENT_PROVIDERS = [tested.package for tested in chosen]
    return chosen
