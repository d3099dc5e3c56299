"""A wait of 400 days with real processes, none of which lives as long as the wait."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from access.models import ApiToken
from sagas.models import SagaRun, StepAttempt
from sagas.queries.counts import last_sweeps
from sandbox.stripe_process import SandboxServer
from tests.support.clock import advance
from tests.support.http_storefront import HttpStorefront
from tests.support.ledger_checks import assert_ledgers_agree
from tests.support.production_processes import Installation
from tests.support.provider_ledger import money_of
from tests.support.shop import Shelf
from tests.support.waits import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.destructive]

DAYS = 400
EVERY_ORDER_IS_REVIEWED = {"REVIEW_ABOVE_MINOR": "1", "REVIEW_HOURS": str(DAYS * 24)}


@pytest.fixture
def installation(
    transactional_db: None, sandbox_stripe: SandboxServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("installation")
    running = Installation(sandbox_stripe, folder, EVERY_ORDER_IS_REVIEWED)
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.stop()


def waits_for() -> str:
    return SagaRun.objects.get().waits_for


def wait_for_sweep(installation: Installation) -> None:
    """Wait until the loop of sweeps has looked at the runs once more."""
    seen = last_sweeps()["watch"].at if "watch" in last_sweeps() else None
    wait_until(lambda: "watch" in last_sweeps() and last_sweeps()["watch"].at != seen)
    assert not installation.watch.has_ended()


def test_a_wait_of_400_days_ends_without_any_of_the_processes_in_which_it_began(
    installation: Installation, customer: User, shelf: Shelf, sandbox_stripe: SandboxServer
) -> None:
    shelf.put("MUG", 5)
    alice = HttpStorefront(installation.url, str(ApiToken.objects.issue(customer)[1]))
    order_id = alice.place()["id"]
    wait_until(lambda: waits_for() == "await_review")
    run = SagaRun.objects.get()
    assert run.waiting_since is not None
    assert run.waiting_until == run.waiting_since + timedelta(days=DAYS)

    installation.replace_all()
    advance(days=DAYS - 1)
    wait_for_sweep(installation)
    assert waits_for() == "await_review"
    assert alice.get(order_id)["status"] == "placed"
    with installation.redis as broker:
        broker.flushall()
    advance(days=1)
    order = alice.wait_for_end(order_id)

    assert (order["status"], order["reason_code"]) == ("cancelled", "not_reviewed")
    review = StepAttempt.objects.get(step="await_review", direction="forward")
    assert (review.outcome, review.started_at) == ("rejected", run.waiting_since)
    assert review.ended_at is not None
    assert timedelta() <= review.ended_at - run.waiting_until < timedelta(hours=1)
    assert shelf.level("MUG") == (5, 0)
    assert money_of(sandbox_stripe, run.subject_id).held_minor == 0
    assert_ledgers_agree(sandbox_stripe)
