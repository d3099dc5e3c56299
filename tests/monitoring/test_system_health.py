"""The health of the systems that steps call, from the journal."""

from datetime import timedelta

import pytest
from django.db.models import F
from pytest_django import Settings

from monitoring.system_health import WINDOW, SystemHealth, system_health
from orders.steps import PAYMENT_PROVIDER
from sagas.models import SagaRun, StepAttempt
from sagas.queries.definitions import systems
from sandbox.stripe_process import SandboxServer
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import Storefront, cart

pytestmark = pytest.mark.django_db(transaction=True)


def payment_provider_health() -> SystemHealth:
    [found] = [health for health in system_health() if health.system == PAYMENT_PROVIDER]
    return found


def test_every_system_that_a_step_calls_is_listed() -> None:
    assert [health.system for health in system_health()] == systems()


def test_a_system_without_calls_has_no_answered_share() -> None:
    found = payment_provider_health()

    assert found == SystemHealth(PAYMENT_PROVIDER, {}, None)
    assert found.answered_share is None


def test_done_and_rejected_count_as_answered(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    storefront.order(cart(("MUG", 1)))
    storefront.order(cart(("MUG", 1), payment_method="pm_card_chargeDeclined"))
    for _ in range(2):
        messages.deliver(messages.take())

    found = payment_provider_health()

    assert found.outcomes == {"done": 1, "rejected": 1}
    assert found.answered_share == 1
    assert (
        found.last_answer_at
        == StepAttempt.objects.filter(step="authorize_payment").latest("started_at").started_at
    )


def test_an_answer_that_comes_later_counts_as_answered(
    storefront: Storefront,
    sandbox_stripe: SandboxServer,
    messages: MessageQueue,
    settings: Settings,
) -> None:
    settings.PAYMENT_GRACE = timedelta(minutes=15)
    storefront.order(cart(("MUG", 1), payment_method="pm_card_chargeDeclined"))
    messages.deliver(messages.take())

    found = payment_provider_health()

    assert found.outcomes == {"pending": 1}
    assert found.answered_share == 1
    assert found.last_answer_at == StepAttempt.objects.get(outcome="pending").started_at


def test_calls_without_an_answer_lower_the_answered_share(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    sandbox_stripe.add_fault("payment_intents.create", "error_before", times=1)
    storefront.order(cart(("MUG", 1)))
    messages.deliver(messages.take())

    found = payment_provider_health()

    assert found.outcomes == {"unknown": 1}
    assert (found.answered_share, found.last_answer_at) == (0, None)


def test_attempts_before_the_window_are_not_counted(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    storefront.order(cart(("MUG", 1)))
    messages.deliver_all()
    StepAttempt.objects.update(started_at=F("started_at") - WINDOW)

    assert system_health() == [SystemHealth(system, {}, None) for system in systems()]
    assert SagaRun.objects.filter(created_at__lt=F("ended_at") - timedelta(minutes=1)).count() == 0
