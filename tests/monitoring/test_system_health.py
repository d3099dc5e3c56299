"""The health of the systems that steps call, from the journal."""

import re
from datetime import timedelta

import pytest
from django.db.models import F
from pytest_django import Settings

from monitoring.system_health import ANSWERED, IN_FLIGHT, WINDOW, SystemHealth, system_health
from orders.steps import PAYMENT_PROVIDER
from sagas.models import Outcome, SagaRun, StepAttempt
from sagas.queries.definitions import systems
from sagas.sweep import sweep
from sandbox.procfile import ROOT
from sandbox.stripe_process import SandboxServer
from tests.support.clock import bring_nearer
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


def test_an_error_that_the_provider_reports_counts_as_answered(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    sandbox_stripe.start_over()
    order_id = storefront.order(cart(("MUG", 1), payment_method="pm_card_pendingRefund")).order_id
    messages.deliver_all()
    storefront.cancel(order_id)
    messages.deliver_all()
    [refund] = sandbox_stripe.ledger()["refunds"]
    sandbox_stripe.settle_refund(str(refund["id"]), "fail")
    bring_nearer(timedelta(hours=1))
    sweep()
    messages.deliver_all()

    found = payment_provider_health()

    failed = StepAttempt.objects.get(error="RefundFailed")
    assert found.outcomes == {"done": 2, "pending": 1, "failed": 1}
    assert found.answered_share == 1
    assert found.last_answer_at == failed.started_at


def test_the_alert_counts_all_other_outcomes_as_unanswered() -> None:
    alerts = (ROOT / "docs/alerts.yml").read_text()
    [unanswered] = set(
        re.findall(r'holdfast_system_recent_attempts\{outcome=~"([a-z|]+)"\}', alerts)
    )

    ended = {"done", "rejected", "pending", "proceeded", "transient", "unknown", "lost", "failed"}
    assert ended - set(ANSWERED) == set(unanswered.split("|"))
    assert ended | {IN_FLIGHT, "interrupted"} == set(Outcome.values)


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
