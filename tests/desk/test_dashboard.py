"""The dashboard: its figures, and the number of its statements."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clock.now import now
from desk import dashboard_queries
from desk.dashboard import figures
from desk.dashboard_queries import StepFailures, WaitRow, dashboard_data
from invariants.models import ReconciliationBreak
from monitoring.heartbeats import record
from orders.models import Order
from orders.states import OrderStatus
from sagas.models import SagaRun, StepAttempt
from sagas.pause_reasons import PauseReason
from sagas.queries.definitions import systems
from sagas.queries.recent_waits import recent_waits
from sagas.services import pause
from sagas.sweep import sweep
from sandbox.stripe_process import SandboxServer
from tests.support import clock
from tests.support.flagged_orders import flag
from tests.support.in_memory_broker import MessageQueue
from tests.support.shop import Shelf
from tests.support.staff_login import superuser
from tests.support.storefront_client import Storefront, cart

pytestmark = pytest.mark.django_db(transaction=True)

STATEMENTS = 18


@pytest.fixture
def desk(transactional_db: None) -> Client:
    client = Client()
    client.force_login(superuser())
    return client


@pytest.fixture
def storefront(customer: User, shelf: Shelf, messages: MessageQueue) -> Storefront:
    shelf.put("MUG", 9)
    shelf.put("TEE", 9)
    return Storefront(customer)


@pytest.fixture
def shop(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> dict[str, UUID]:
    """One confirmed, one cancelled and one flagged order."""
    confirmed = storefront.order(cart(("MUG", 1))).order_id
    declined = cart(("MUG", 1), payment_method="pm_card_visa_chargeDeclined")
    cancelled = storefront.order(declined).order_id
    messages.deliver_all()
    flagged = storefront.order(cart(("TEE", 1))).order_id
    flag(flagged, "8 attempts <b>")
    return {"confirmed": confirmed, "cancelled": cancelled, "flagged": flagged}


def test_orders_age_by_the_clock_and_sweeps_by_the_real_time(
    desk: Client, shop: dict[str, UUID]
) -> None:
    assert dashboard_data().swept_ago is None
    sweep()
    clock.advance(days=14)

    found = dashboard_data()

    assert found.oldest is not None
    assert timedelta(days=14) <= found.at - found.oldest.since < timedelta(days=15)
    assert found.swept_ago is not None
    assert timedelta() <= found.swept_ago < timedelta(hours=1)
    assert found.confirmed[-1][0] == found.at.replace(second=0, microsecond=0)
    assert sum(times for _, times in found.confirmed) == 0


@pytest.mark.parametrize(
    "outcome", ["rejected", "proceeded", "transient", "unknown", "lost", "failed", "done"]
)
def test_each_outcome_but_done_is_counted_as_a_failure_of_its_step(
    desk: Client, shop: dict[str, UUID], outcome: str
) -> None:
    StepAttempt.objects.filter(outcome="rejected").update(outcome=outcome)

    expected = [] if outcome == "done" else [StepFailures("authorize_payment", {outcome: 1})]
    assert dashboard_data().step_failures == expected


def test_the_figures_match_the_orders(desk: Client, shop: dict[str, UUID]) -> None:
    found = dashboard_data()

    assert {count.status: (count.orders, count.is_exact) for count in found.status_counts} == {
        OrderStatus.PLACED: (1, True),
        OrderStatus.CONFIRMED: (1, True),
        OrderStatus.CANCELLING: (0, True),
        OrderStatus.CANCELLED: (1, True),
    }
    assert sum(times for _, times in found.confirmed) == 1
    assert len(found.confirmed) == 60
    assert found.step_failures == [StepFailures("authorize_payment", {"rejected": 1})]
    assert found.oldest is not None
    assert found.oldest.order_id == shop["flagged"]
    assert [order.order_id for order in found.flagged_orders] == [shop["flagged"]]
    assert (found.flagged, found.paused, found.open_breaks) == (1, 0, 0)
    assert [(health.system, health.answered_share) for health in found.systems] == [
        (system, 1.0) for system in systems()
    ]


def test_the_page_and_the_polled_figures_show_the_same(desk: Client, shop: dict[str, UUID]) -> None:
    page = desk.get("/admin/").content.decode()
    polled = desk.get("/admin/figures/").content.decode()

    for text in (
        f"/admin/orders/order/{shop['flagged']}/change/",
        "8 attempts &lt;b&gt;",
        "authorize_payment",
        "no worker has reported",
        "Confirmed per minute",
    ):
        assert text in page
        assert text in polled
    assert 'data-refresh="/admin/figures/"' in page
    assert "<html" not in polled


def test_paused_orders_are_counted_with_who_may_have_paused_them(
    desk: Client, shop: dict[str, UUID]
) -> None:
    before = desk.get("/admin/figures/").content.decode()
    pause(shop["flagged"], PauseReason.STAFF, "Waiting for a call.", "grace")

    page = desk.get("/admin/figures/").content.decode()

    assert "is_paused=yes" not in before
    assert (
        "1 paused</a>, by staff or by an invariant. They start no further step until staff resume them."
    ) in page
    assert "paused by grace: Waiting for a call." in page


def test_silent_and_served_queues_are_distinguished(desk: Client) -> None:
    record("checkout", "checkout@here", timezone.now())
    record("sweeps", "sweeps@here", timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE monitoring_workerheartbeat SET taken_at = now() - interval '2 min' WHERE queue = 'sweeps'"
        )

    page = desk.get("/admin/figures/").content.decode()

    assert "checkout@here" in page
    assert "for 2 min" in page


def test_open_breaks_are_counted(desk: Client) -> None:
    now = timezone.now()
    for resolution in ("", "counted by hand"):
        ReconciliationBreak.objects.create(
            code="S2",
            kind="stock",
            subject=f"TEE{resolution}",
            first_seen=now,
            last_seen=now,
            times_seen=1,
            resolved_at=now if resolution else None,
            resolution=resolution,
        )

    assert dashboard_data().open_breaks == 1


def test_large_counts_are_estimated(shop: dict[str, UUID], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard_queries, "MAX_COUNTED", 1)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE orders_order")

    found = {
        count.status: (count.orders, count.is_exact) for count in dashboard_data().status_counts
    }

    assert found[OrderStatus.PLACED] == (1, False)
    assert found[OrderStatus.CANCELLING] == (0, True)


def test_the_number_of_statements_is_bounded(shop: dict[str, UUID]) -> None:
    with CaptureQueriesContext(connection) as queries:
        figures()

    assert len(queries) <= STATEMENTS


def test_the_dashboard_counts_what_runs_wait_for_once_a_minute(
    desk: Client, shop: dict[str, UUID]
) -> None:
    assert "No run waits." in desk.get("/admin/figures/").content.decode()
    since = now() - timedelta(hours=3)
    SagaRun.objects.filter(subject_id=shop["flagged"]).update(
        waits_for="await_review", waiting_since=since, waiting_until=since + timedelta(hours=1)
    )
    assert dashboard_data().waits == []

    recent_waits.forget()

    assert dashboard_data().waits == [
        WaitRow("await_review", "an approval of the order", 1, since, overdue=1)
    ]
    page = desk.get("/admin/figures/").content.decode()
    assert '/admin/sagas/sagarun/?waits_for=await_review">an approval of the order' in page
    assert "/admin/sagas/sagarun/?waits_for=overdue" in page
    assert "3 h" in page


def test_orders_that_only_wait_are_not_said_to_be_ended(
    desk: Client, shop: dict[str, UUID]
) -> None:
    def text() -> str:
        return desk.get("/admin/figures/").content.decode()

    assert "Oldest unfinished" in text()
    since = now()
    SagaRun.objects.filter(subject_id=shop["flagged"]).update(
        waits_for="await_review", waiting_since=since, waiting_until=since + timedelta(hours=1)
    )
    assert "<p>1 order has not ended: it waits.</p>" in text()

    Order.objects.filter(pk=shop["cancelled"]).update(status="cancelling")
    assert "<p>2 orders have not ended: all of them wait.</p>" in text()

    Order.objects.update(status="confirmed")
    assert "<p>No order is in progress.</p>" in text()


def test_polling_does_not_extend_the_session(desk: Client) -> None:
    desk.get("/admin/")
    session = desk.session
    session["desk.seen"] -= 29 * 60
    session.save()

    desk.get("/admin/figures/")

    assert desk.session["desk.seen"] == session["desk.seen"]
    desk.get("/admin/")
    assert desk.session["desk.seen"] > session["desk.seen"]
