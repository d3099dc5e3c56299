"""The registry: the setting and the payment method choose a payment's provider."""

import pytest
from django.db import transaction
from pytest_django import Settings

from bulk_sql.statements import write
from payments import services
from payments.admin_queries import orders_with_provider_id, payment_details
from payments.errors import UnknownPaymentMethod, UnknownProvider
from payments.models import Payment
from payments.providers.registry import provider_name_for_method, provider_named, providers
from sagas.identifiers import new_id
from tests.support.in_memory_provider.provider import CARD, PROVIDER
from tests.support.payment_attempts import FakeAttempt

STRIPE, MEMORY = "payments.providers.stripe", "tests.support.in_memory_provider"


@pytest.fixture
def both(settings: Settings) -> None:
    settings.PAYMENT_PROVIDERS = [STRIPE, MEMORY]


def test_providers_are_in_the_order_of_the_setting(settings: Settings, both: None) -> None:
    assert list(providers()) == ["stripe", "in_memory_provider"]

    settings.PAYMENT_PROVIDERS = [MEMORY]

    assert dict(providers()) == {"in_memory_provider": PROVIDER}
    assert provider_named("in_memory_provider") is PROVIDER


def test_a_payment_goes_to_the_first_provider_that_accepts_its_method(both: None) -> None:
    assert provider_name_for_method("pm_card_visa") == "stripe"
    assert provider_name_for_method(CARD) == "in_memory_provider"
    with pytest.raises(UnknownPaymentMethod):
        provider_name_for_method("cheque")


def test_the_hint_describes_the_accepted_payment_methods(settings: Settings, both: None) -> None:
    assert services.is_payment_method(CARD)
    assert services.payment_method_hint() == (
        "the id of a Stripe payment method, such as pm_card_visa; a name such as memory_card"
    )

    settings.PAYMENT_PROVIDERS = [STRIPE]

    assert not services.is_payment_method(CARD)


@pytest.mark.django_db(transaction=True)
def test_payments_of_a_removed_provider_are_shown_and_not_changed(
    settings: Settings, both: None
) -> None:
    PROVIDER.start_over()
    charge = services.Charge(new_id(), new_id(), 1200, "eur", CARD)
    with transaction.atomic():
        write(services.prepare_payments([charge]))
    settings.PAYMENT_PROVIDERS = [STRIPE]

    with pytest.raises(UnknownProvider, match="PAYMENT_PROVIDERS has no 'in_memory_provider'"):
        services.authorize(charge.order_id, FakeAttempt(charge.order_id))

    (shown,) = payment_details(charge.order_id)
    assert (shown.provider, shown.dashboard_url) == ("in_memory_provider", None)
    assert PROVIDER.state.calls == []


@pytest.mark.django_db(transaction=True)
def test_an_order_is_found_by_its_provider_payment_id(both: None) -> None:
    PROVIDER.start_over()
    charge = services.Charge(new_id(), new_id(), 1200, "eur", CARD)
    with transaction.atomic():
        write(services.prepare_payments([charge]))
    services.authorize(charge.order_id, FakeAttempt(charge.order_id))

    (shown,) = payment_details(charge.order_id)
    payment = Payment.objects.get()
    assert payment.provider_payment_id == "mp_1"
    assert (shown.provider, shown.provider_payment_id) == ("In memory", "mp_1")
    assert shown.dashboard_url == "https://memory.example/mp_1"
    assert orders_with_provider_id("mp_1") == [charge.order_id]
    assert orders_with_provider_id("mp_2") == []
    assert orders_with_provider_id("1") == []
