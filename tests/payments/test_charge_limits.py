"""What several providers together charge: which currency, which prices and which totals."""

from dataclasses import replace

import pytest
from pytest_django import Settings

from payments import services
from payments.errors import CurrencyNotCharged
from payments.provider_types import ChargeLimits
from tests.support.in_memory_provider import provider as in_memory

STRIPE, MEMORY = "payments.providers.stripe", "tests.support.in_memory_provider"
PROVIDERS = pytest.mark.parametrize("packages", [[STRIPE, MEMORY], [MEMORY, STRIPE]])
OF_STRIPE = ChargeLimits(50, 99_999_999, 1)
OF_MEMORY = ChargeLimits(100, 5_000, 20)


@pytest.fixture(autouse=True)
def in_memory_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the provider in memory limits of its own. It charges in eur and usd only."""
    monkeypatch.setattr(in_memory, "LIMITS", OF_MEMORY)


@PROVIDERS
def test_every_provider_must_charge_in_the_currency(
    settings: Settings, packages: list[str]
) -> None:
    settings.PAYMENT_PROVIDERS = packages

    services.check_currency("eur")
    with pytest.raises(CurrencyNotCharged, match="in_memory_provider does not charge in 'jpy'"):
        services.check_currency("jpy")


@PROVIDERS
def test_the_limits_are_those_of_the_methods_provider_and_else_the_widest(
    settings: Settings, packages: list[str]
) -> None:
    settings.PAYMENT_PROVIDERS = packages

    assert services.charge_limits("eur", "pm_card_visa") == OF_STRIPE
    assert services.charge_limits("eur", in_memory.CARD) == OF_MEMORY
    assert services.charge_limits("eur") == OF_STRIPE
    assert services.charge_limits("jpy") == OF_STRIPE


def test_the_widest_limits_are_taken_from_different_providers(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PAYMENT_PROVIDERS = [STRIPE, MEMORY]
    larger = replace(OF_MEMORY, min_minor=10, max_minor=100_000_000)
    monkeypatch.setattr(in_memory, "LIMITS", larger)

    assert services.charge_limits("eur") == ChargeLimits(10, 100_000_000, 1)


def test_a_currency_that_no_provider_charges_has_no_limits(settings: Settings) -> None:
    settings.PAYMENT_PROVIDERS = [STRIPE, MEMORY]

    with pytest.raises(CurrencyNotCharged, match="stripe, in_memory_provider does not charge"):
        services.charge_limits("iqd")
    with pytest.raises(CurrencyNotCharged, match="in_memory_provider does not charge in 'jpy'"):
        services.charge_limits("jpy", in_memory.CARD)


@pytest.mark.parametrize(
    ("price_minor", "currency", "problem"),
    [
        (5_000, "eur", ""),
        (20, "eur", ""),  # the minimum is one of whole carts
        (30, "eur", "In memory charges only multiples of 0.20 EUR (20 here)."),
        (5_020, "eur", "In memory charges at most 50.00 EUR."),
        (1_200, "jpy", "In memory does not charge in JPY."),
    ],
)
@PROVIDERS
def test_every_provider_must_be_able_to_charge_a_price(
    settings: Settings, packages: list[str], price_minor: int, currency: str, problem: str
) -> None:
    settings.PAYMENT_PROVIDERS = packages

    assert services.price_problem(price_minor, currency) == problem
